"""An estimate of the time that pretrained models will take on a CPU, before they begin. It may be weeks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from assets.encoding.encoder_spec import EncoderSpec
from assets.engine.progress import duration
from models import encoders
from models.encoders.matrix_rate import matrix_rate

CHARACTERS = 4.0  # per token, in English
REACHED = (0.4, 1.0)  # the speed of models on a CPU, as a share of the rate of matrix products: lowest and highest


def warn_of_cpu(log: logging.Logger, name: str, encoder: EncoderSpec, inputs: int, **length: int) -> None:
    """Warn of the time that `inputs` frames, segments or texts will take on the CPU.

    The number of operations is counted from the model's configuration. The rate at which this machine multiplies matrices is
    measured, which takes a third of a second. Models reach between two fifths of that rate and all of it.

    Args:
        log: Gets the warning.
        name: The stage.
        encoder: Its encoder.
        inputs: Number of frames, segments or texts.
        length: `text_tokens`, the mean length of texts.
    """
    needed = inputs * encoders.operations(encoder.role, encoder.profile, **encoder.options, **length)
    dtype = encoder.options.get("dtype") or "float32"
    rate = matrix_rate("cpu", dtype=dtype)
    low, high = (duration(needed / (share * rate)) for share in reversed(REACHED))
    log.warning(
        "%s: %s for %d inputs runs on the CPU and will take about %s to %s (%.3g operations; this machine reaches %.0f "
        "GFLOP/s in products of %s matrices); set encoders.device to a GPU, or try fewer videos first",
        *(name, encoder.role, inputs, low, high, needed, rate / 1e9, dtype),
    )


def expected_tokens(texts: Sequence[str]) -> int:
    """Estimate the mean length of texts in tokens, including two special tokens per text, without a tokenizer.

    Example:
        >>> expected_tokens(["a text of 23 characters"])
        8
    """
    return 2 + round(sum(map(len, texts)) / len(texts) / CHARACTERS)
