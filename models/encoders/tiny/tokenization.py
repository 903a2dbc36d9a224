"""Small tokenizers of the same kinds as those of the real checkpoints."""

from __future__ import annotations

import string

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import BertTokenizer, PreTrainedTokenizerFast

WORDS = [
    *("a", "an", "and", "the", "of", "in", "on", "at", "with", "is", "are", "to", "for", "from", "by", "this"),
    *("that", "my", "your", "sound", "video", "scene", "man", "woman", "child", "dog", "cat", "bird", "car"),
    *("music", "song", "dance", "food", "game", "city", "beach", "night", "day", "red", "orange", "yellow"),
    *("green", "blue", "white", "black", "dark", "bright", "loud", "quiet", "slow", "fast", "happy", "sad"),
    *("funny", "new", "old", "big", "small", "one", "two", "three", "people", "playing", "singing", "talking"),
    *("walking", "running", "cooking", "jumping", "laughing", "street", "house", "sky", "sea", "water"),
    *("fire", "tree", "flower", "hand", "face", "ball", "phone", "book", "table"),
]


def bert() -> BertTokenizer:
    """Return a WordPiece tokenizer as BERT's: `WORDS` and all printable ASCII characters, lower case, [CLS] ... [SEP]."""
    pieces = [*WORDS, *string.ascii_lowercase, *string.digits, *string.punctuation]
    continued = [f"##{sign}" for sign in string.ascii_lowercase + string.digits]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys([*pieces, *continued])]
    return BertTokenizer(vocab={token: index for index, token in enumerate(tokens)})


def opt() -> PreTrainedTokenizerFast:
    """Return a tokenizer of whole words, so that even a random model writes words.

    As in OPT's tokenizer, </s> is both the first token of every text and the end token, and <image> stands for a query token.
    """
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *WORDS]
    tokenizer = Tokenizer(
        models.WordLevel(vocab={token: index for index, token in enumerate(tokens)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    _surround(tokenizer, "</s> $A", ["</s>"])
    result = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="</s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
    result.add_tokens([AddedToken("<image>", normalized=False, special=True)], special_tokens=True)
    return result


def roberta() -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer as RoBERTa's, <s> ... </s>; its only merges form the words of `WORDS`."""
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        piece = "Ġ"  # the byte-level form of a space
        for sign in word:
            if piece + sign not in vocabulary:
                vocabulary.append(piece + sign)
                merges.append((piece, sign))
            piece += sign
    tokenizer = Tokenizer(
        models.BPE(vocab={token: index for index, token in enumerate(vocabulary)}, merges=merges, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    _surround(tokenizer, "<s> $A </s>", ["<s>", "</s>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        model_max_length=64,
    )


def _surround(tokenizer: Tokenizer, template: str, tokens: list[str]) -> None:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template,
        pair=template + " $B",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in tokens],
    )
