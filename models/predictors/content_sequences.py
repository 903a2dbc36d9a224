"""The two content sequences of a video, audio-visual and textual, standardised, as networks that read rows take them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.features import VideoBatch, VideoFeatures, Widths
from models.predictors.standardise import Standardiser

CONTENT = {"visual": "frames", "acoustic": "sound", "text": "words"}  # modality -> its rows in words
AUDIO_VISUAL, TEXT = "c", "t"  # in the papers' letters


class MaskedRows(NamedTuple):
    """Rows of v videos, padded to a common length.

    Attributes:
        values: (v, n, w), any value where the mask is False.
        mask: (v, n) bool, True where there is a row.
    """

    values: Tensor
    mask: Tensor


class ContentSequences(nn.Module):
    """Layer that turns features into the audio-visual and the textual sequence.

    An audio-visual row is a frame's vector beside the sound's vector of the same moment, each standardised. A frame without
    sound, or a sound without a frame, has the training mean in the missing half, and two more channels mark which half is
    missing. If only one of the two modalities is used, its rows are the sequence.

    Attributes:
        widths: Width of a row per sequence, "c" (audio-visual) and "t" (textual). A sequence whose modalities are not used is
            left out.
    """

    def __init__(
        self, widths: Widths, *, use_visual: bool = True, use_audio: bool = True, use_text: bool = True
    ) -> None:
        """Build the layer for features of `widths`, with the modalities to use."""
        super().__init__()
        used = dict(zip(CONTENT, (use_visual, use_audio, use_text), strict=True))
        self.standardise = nn.ModuleDict({name: Standardiser(getattr(widths, name)) for name in CONTENT if used[name]})
        self._halves = [name for name in ("visual", "acoustic") if used[name]]
        audio_visual = sum(getattr(widths, name) for name in self._halves) + 2 * (len(self._halves) == 2)
        found = {AUDIO_VISUAL: audio_visual, TEXT: widths.text * use_text}
        self.widths = {name: width for name, width in found.items() if width}

    def fit(self, features: VideoFeatures, videos: np.ndarray) -> None:
        """Fit the standardisers.

        Args:
            features: Features of windows.
            videos: Numbers of the training windows to fit to, one per distinct video.
        """
        for name, standardiser in self.standardise.items():
            standardiser.fit_rows(getattr(features, name).take(videos), name=name)

    def forward(self, videos: VideoBatch) -> dict[str, MaskedRows]:
        """Return the sequences of v videos by name."""
        sequences = {}
        if self._halves:
            halves = [self._rows(videos, name) for name in self._halves]
            masks = torch.stack([half.mask for half in halves], -1)  # (v, K, 1 or 2)
            values = [half.values for half in halves]
            if len(halves) == 2:
                values.append((~masks).to(values[0].dtype))
            sequences[AUDIO_VISUAL] = MaskedRows(torch.cat(values, -1), masks.any(-1))
        if TEXT in self.widths:
            sequences[TEXT] = self._rows(videos, "text")
        return sequences

    def _rows(self, videos: VideoBatch, name: str) -> MaskedRows:
        rows, mask, standardise = getattr(videos, name), getattr(videos, f"{name}_mask"), self.standardise[name]
        # One pass over the rows, which are the largest tensors of a training step; then zeros where they are masked.
        values = torch.addcmul(-standardise.mean / standardise.scale, rows, 1.0 / standardise.scale)
        return MaskedRows(values.mul_(mask.unsqueeze(-1)), mask)


def lacking(features: VideoFeatures, modalities: Collection[str] = CONTENT) -> str | None:
    """Return which of the two sequences no video has, such as "words" or "frames or sound"; None if there are both.

    Args:
        features: Features of the videos.
        modalities: The modalities that make the sequences. A sequence without any is not looked for.

    Example:
        >>> from models.predictors import Rows
        >>> some, none = Rows.pad([np.ones((1, 2))], width=2), Rows.pad([None], width=2)
        >>> lacking(VideoFeatures(visual=some, acoustic=none, text=none, temporal=none))
        'words'
    """
    for sequence in (("visual", "acoustic"), ("text",)):
        used = [name for name in sequence if name in modalities]
        if used and not any(getattr(features, name).present.any() for name in used):
            return " or ".join(CONTENT[name] for name in used)
    return None
