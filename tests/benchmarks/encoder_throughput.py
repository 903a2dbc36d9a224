"""Frames, segments and captions per second of the papers' models, and their share of the device's matrix rate.

    python tests/benchmarks/encoder_throughput.py [--device auto] [--dtype bfloat16] [--compile] [--attention sdpa]

The models are built from their configurations with random weights: throughput does not depend on the weights, and
nothing is downloaded. Each row also shows a loop with one frame or segment per call, and the minutes for 20,000 videos
of ten frames, beside the papers' figure on four RTX 3090 (M3TR 4.5). Without a GPU, small models run on the CPU in
float32, and the GPU's table says `not measured`.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AddedToken,
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    BertConfig,
    BertModel,
    Blip2Config,
    Blip2ForConditionalGeneration,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    OPTConfig,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTModel,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from assets.encoding.encode_blocks import BLOCK, blocks_of, encode_blocks
from assets.encoding.encoder_loader import Source, Work
from assets.encoding.encoder_spec import EncoderSpec
from assets.encoding.encoding_tasks import padded, prepare_frames
from assets.engine.media_tasks import encode_jpeg
from models.encoders.matrix_rate import matrix_rate, synchronise
from models.encoders.pretrained.acoustic import ASTEncoder
from models.encoders.pretrained.batching import fastest_size, free_memory
from models.encoders.pretrained.captions import BLIP2Captioner
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.from_files import quietly
from models.encoders.pretrained.operations import TEXT_TOKENS, operations_by_part
from models.encoders.pretrained.options import (
    AcousticOptions,
    CaptionOptions,
    SoundOptions,
    TextOptions,
    VisualOptions,
)
from models.encoders.pretrained.preparing import ASTPreparation, CLAPPreparation, ImagePreparation
from models.encoders.pretrained.sounds import CLAPDescriber
from models.encoders.pretrained.text import AnglEEncoder
from models.encoders.pretrained.visual import ImageEncoder
from models.encoders.tiny import tokenization
from storage.rows import Row
from storage.stage import Stage

VIDEOS, FRAMES, RATE = 20_000, 10, 48_000
PAPER_MINUTES = {"visual": 33, "acoustic": 146, "captions": 398, "sounds": 182, "text": 8}
NAMES = {
    "visual": "ViT-B/16, frames",
    "acoustic": "AST, segments",
    "captions": "BLIP-2 OPT-2.7B, captions",
    "sounds": "CLAP, segments",
    "text": f"UAE-Large, texts of {TEXT_TOKENS} tokens",
}
PICTURE = np.random.default_rng(0).integers(0, 256, (512, 288, 3), dtype=np.uint8)  # as the store keeps frames
SOUND = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1


@dataclass
class Device:
    name: str
    dtype: str
    attention: str | None
    compiled: bool
    seconds: float
    rate: float = 0.0

    @property
    def gpu(self) -> bool:
        return self.name.startswith("cuda")

    def built(self, kind: type, config: Any, **arguments: Any) -> Any:
        chosen = {"attn_implementation": self.attention} if self.attention else {}
        with torch.device(self.name), quietly():
            return kind._from_config(config, dtype=getattr(torch, self.dtype), **chosen, **arguments).eval()


def words(count: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer with one word per output of the model, so that every output can be decoded."""
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(count - 5)), "<image>"]
    tokenizer = Tokenizer(models.WordLevel({token: place for place, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="</s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
    made.add_tokens([AddedToken("<image>", special=True)], special_tokens=True)
    return made


def blip2(small: bool) -> Blip2Config:
    """BLIP-2 OPT-2.7B (ViT-g/14, Q-Former, OPT); `small` keeps two layers of each."""
    opt = OPTConfig(hidden_size=2560, num_hidden_layers=32, num_attention_heads=32, ffn_dim=10240, vocab_size=50304)
    opt.word_embed_proj_dim = 2560
    config = Blip2Config(text_config=opt.to_dict(), image_token_index=50303)
    if small:
        for part in (config.vision_config, config.qformer_config, config.text_config):
            part.num_hidden_layers = 2
    return config


def encoder_of(role: str, folder: Path, device: Device, options: CaptionOptions) -> tuple[Any, Any, Sequence[Any]]:
    """Return (encoder, configuration, modules to compile). All are of full size, except BLIP-2 on a CPU."""
    located, told = Checkpoint(folder, "random", "none"), {"identity": {}, "batch_size": 8}
    match role:
        case "visual":
            ViTImageProcessorPil().save_pretrained(folder)
            model = device.built(ViTModel, config := ViTConfig(), add_pooling_layer=False)
            return ImageEncoder(model, ImagePreparation(located), VisualOptions(), **told), config, [model]
        case "acoustic":
            ASTFeatureExtractor().save_pretrained(folder)
            model = device.built(ASTModel, config := ASTConfig())
            return ASTEncoder(model, ASTPreparation(located), AcousticOptions(), **told), config, [model]
        case "captions":
            BlipImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)
            model = device.built(Blip2ForConditionalGeneration, config := blip2(small=not device.gpu))
            model.language_model.generation_config.eos_token_id = None  # captions of full length: the worst case
            tokenizer = words(config.text_config.vocab_size)
            encoder = BLIP2Captioner(model, ImagePreparation(located), tokenizer, options, **told)
            return encoder, config, [model.vision_model, model.qformer]
        case "sounds":
            ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
            model = device.built(ClapModel, config := ClapConfig())
            config.save_pretrained(folder)
            tokenizer = tokenization.roberta()
            encoder = CLAPDescriber(model, CLAPPreparation(located), tokenizer, SoundOptions(), **told)
            return encoder, config, [model.audio_model]
        case _:
            config = BertConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
            model = device.built(BertModel, config, add_pooling_layer=False)
            return AnglEEncoder(model, tokenization.bert(), TextOptions(), **told), config, [model]


def per_second(run: Callable[[], object], inputs: int, device: Device) -> float:
    """Return the inputs per second of `run`, which processes `inputs` inputs per call."""
    run()
    done, started = 0, time.perf_counter()
    while not done or time.perf_counter() - started < device.seconds:
        run()
        synchronise(device.name)
        done += inputs
    return done / (time.perf_counter() - started)


def measured(role: str, device: Device, folder: Path, options: CaptionOptions) -> str:
    """Return one row of the table."""
    encoder, config, compiled = encoder_of(role, folder, device, options)
    if device.compiled:
        for module in compiled:
            module.compile(dynamic=True)
    size = fastest_size(encoder.trial, most=512) if device.gpu else 4
    encoder.batches.size = size
    given = [PICTURE] if role in ("visual", "captions") else [SOUND]
    if role == "text":
        text = " ".join(["a"] * (TEXT_TOKENS - 2))
        many, one = partial(encoder.encode_sentences, [text] * 2 * size), partial(encoder.encode_sentences, [text])
    else:
        rate = [] if role in ("visual", "captions") else [RATE]
        row = encoder.prepare(given, *rate)
        rows = row.expand(2 * size, *row.shape[1:]).contiguous()
        many = partial(encoder.from_prepared, [rows.pin_memory() if device.gpu else rows])
        call = {"captions": "caption", "sounds": "describe"}.get(role, "encode")
        one = partial(getattr(encoder, call), given, *rate)
    fast, naive = per_second(many, 2 * size, device), per_second(one, 1, device)
    parts = operations_by_part(role, config, new_tokens=options.max_new_tokens)
    share = fast * sum(parts.values()) / device.rate
    count = VIDEOS * (1 if role == "text" else FRAMES)
    minutes = f"{count / fast / 60:.1f}" if device.gpu or role != "captions" else "-"
    line = (
        f"| {NAMES[role]} | {size} | {fast:.1f} | {share:.0%} | {naive:.1f} | {fast / naive:.1f} x | {minutes} | "
        f"{PAPER_MINUTES[role]} |"
    )
    if role == "captions":
        line += "\n" + sides_of_blip2(encoder, parts, device, size, fast, naive, given)
    return line


def sides_of_blip2(
    encoder: Any, parts: dict[str, float], device: Device, size: int, fast: float, naive: float, given: list[np.ndarray]
) -> str:
    """Return the times of BLIP-2's vision side and of its language side, which is the rest of the whole."""
    model = encoder._model

    @torch.inference_mode()
    def look(count: int) -> None:
        pixels = torch.zeros(count, 3, 224, 224, device=device.name, dtype=getattr(torch, device.dtype))
        seen = model.vision_model(pixels).last_hidden_state
        model.qformer(query_embeds=model.query_tokens.expand(count, -1, -1), encoder_hidden_states=seen)

    looked, looked_alone = per_second(partial(look, size), size, device), per_second(partial(look, 1), 1, device)
    prepared = per_second(partial(encoder.prepare, given), 1, device)
    written = 1 / (1 / fast - 1 / looked)
    written_alone = 1 / (1 / naive - 1 / looked_alone - 1 / prepared)
    return (
        f"| - vision side | {size} | {looked:.1f} | {looked * parts['vision'] / device.rate:.0%} | {looked_alone:.1f} | "
        f"{looked / looked_alone:.1f} x | - | - |\n"
        f"| - words, {encoder._longest} a caption | {size} | {written:.1f} | {written * parts['words'] / device.rate:.0%} | "
        f"{written_alone:.1f} | {written / written_alone:.1f} x | - | - |"
    )


def fed(device: Device, folder: Path, *, videos: int, block: int, workers: int) -> str:
    """Return the frames per second from the store's JPEGs to vectors, with the worker processes of a run."""
    encoder, _, _ = encoder_of("visual", folder, device, CaptionOptions())
    encoder.batches.size = fastest_size(encoder.trial, most=512) if device.gpu else 4
    payload = pa.schema({"frames": pa.list_(pa.binary())})
    stage, items = Stage(folder / "frames", payload), [str(number) for number in range(videos)]
    picture = encode_jpeg(PICTURE, 92)
    for some in blocks_of(items, 200):
        stage.commit([Row.ok(item, "x", {"frames": [picture] * FRAMES}) for item in some], fingerprint="x")
    folder_of_processor = {"checkpoint": str(folder)}
    (folder / "config.json").write_text('{"model_type": "vit"}')
    (folder / "model.safetensors").touch()  # the workers load only the checkpoint's processor
    source = Source(stage.folder, payload, ("frames",))
    encoder_spec = EncoderSpec("visual", "paper", folder_of_processor)
    work = Work(encoder_spec, (source,), prepare_frames, partial(padded, count=FRAMES))
    waited = encoded = 0.0
    started = None
    for number, done in enumerate(
        encode_blocks(work, blocks_of(items, block), lambda: encoder, device=device.name, workers=workers)
    ):
        if number == 0:  # the workers have started
            started = time.perf_counter()
            continue
        waited += done.seconds.get("wait", done.seconds["decode"])
        encoded += done.seconds["encode"]
    seconds = time.perf_counter() - started
    return (
        f"From the store's JPEGs (512 x 288) to ViT's vectors, {workers} worker processes: "
        f"{(videos - block) * FRAMES / seconds:.0f} frames/s; the device waited {waited / (waited + encoded):.0%} of the time."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="bfloat16", help="on a GPU; on a CPU float32")
    parser.add_argument("--attention", default=None, choices=["eager", "sdpa", "flash_attention_2"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=None, help="of each measurement: 5 on a GPU, 2 on a CPU")
    parser.add_argument("--roles", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--new-tokens", type=int, default=CaptionOptions.max_new_tokens)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that decode and prepare")
    arguments = parser.parse_args()
    name = arguments.device if arguments.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    gpu = name.startswith("cuda")
    device = Device(
        name,
        arguments.dtype if gpu else "float32",
        arguments.attention,
        arguments.compile,
        arguments.seconds or (5 if gpu else 2),
    )
    device.rate = matrix_rate(name, dtype=device.dtype, seconds=2 if gpu else 1)
    title = (
        torch.cuda.get_device_name(name) if gpu else f"CPU, {torch.get_num_threads()} threads (BLIP-2: 2 layers a part)"
    )
    print(f"{title}: {device.rate / 1e12:.3g} TFLOP/s in products of {device.dtype} matrices\n")
    print("| model | batch | a second | of that rate | one a call | gain | minutes for 20,000 videos | the paper's |")
    print("|---|---|---|---|---|---|---|---|")
    options = CaptionOptions(max_new_tokens=arguments.new_tokens if gpu else min(arguments.new_tokens, 8))
    with tempfile.TemporaryDirectory() as root:
        for role in arguments.roles:
            folder = Path(root) / role
            folder.mkdir()
            print(measured(role, device, folder, options), flush=True)
            free_memory()
        folder = Path(root) / "fed"
        folder.mkdir()
        print(
            "\n" + fed(device, folder, videos=4000 if gpu else 12, block=BLOCK if gpu else 4, workers=arguments.workers)
        )
    if not gpu:
        print("\nGPU: not measured (there is none here).")


if __name__ == "__main__":
    main()
