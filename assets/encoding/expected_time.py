"""Estimate how long pretrained models will take on a CPU, before they begin: it may be weeks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from assets.encoding.encoder_spec import EncoderSpec
from assets.engine.progress import duration
from models import encoders
from models.encoders.matrix_rate import matrix_rate

CHARACTERS = 4.0  # per token, in English
REACHED = (0.4, 1.0)  # lowest and highest share of the rate of matrix products that models reach on a CPU


def warn_of_cpu(log: logging.Logger, name: str, encoder: EncoderSpec, inputs: int, **length: int) -> None:
    """Warn of the time that `inputs` frames, segments or texts will take on the CPU.

    The operations that the model needs are counted from its configuration. The rate at which this machine multiplies
    matrices is measured now, in a third of a second; models reach between two fifths of that rate and all of it.

    Args:
        log: Where the warning goes.
        name: The stage.
        encoder: Its encoder.
        inputs: How many frames, segments or texts.
        length: `text_tokens`, the mean length of texts.
    """
    needed = inputs * encoders.operations(encoder.role, encoder.profile, **encoder.options, **length)
    dtype = encoder.options.get("dtype") or "float32"
    rate = matrix_rate("cpu", dtype=dtype)
    low, high = (duration(needed / (share * rate)) for share in reversed(REACHED))
    log.warning(
        "%s: %s for %d inputs runs on the CPU and will take some %s to %s (%.3g operations, %.0f GFLOP/s in products of "
        "%s matrices here); on a GPU set encoders.device, or try fewer videos first",
        *(name, encoder.role, inputs, low, high, needed, rate / 1e9, dtype),
    )


def expected_tokens(texts: Sequence[str]) -> int:
    """Estimate the mean length of texts in tokens, with the two around each, without a tokenizer."""
    return 2 + round(sum(map(len, texts)) / len(texts) / CHARACTERS)
