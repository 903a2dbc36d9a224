"""Frames and sound of video files, read with PyAV.

Frames are exactly those of a sequential decode, and turned upright. `docs/media.md` describes the details.

Example:
    Write a video of 8 grey frames without sound, and sample 2 of them.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import av, numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "grey.mp4"
    >>> with av.open(str(path), "w") as container:
    ...     stream = container.add_stream("mpeg4", rate=4)
    ...     stream.width, stream.height = 32, 16
    ...     for level in range(0, 256, 32):
    ...         image = np.full((16, 32, 3), level, np.uint8)
    ...         container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    ...     container.mux(stream.encode())
    >>> info = probe(path)
    >>> info.width, info.height, info.fps, info.has_audio
    (32, 16, 4.0, False)
    >>> frames = sample_frames(path, count=2)
    >>> frames.indices.tolist(), frames.timestamps.tolist(), frames.images[0].shape
    ([2, 6], [0.5, 1.5], (16, 32, 3))
    >>> print(sample_audio(path, frames.timestamps, seconds=1.0))
    None
"""

from models.media.audio import Segments, sample_audio
from models.media.errors import MediaError, MediaErrorKind
from models.media.frames import Frames, SamplingMethod, sample_frames, sampled_indices
from models.media.media_info import MediaInfo, probe
from models.media.perceptual_hash import perceptual_hash
from models.media.sample import Sample, sample

__all__ = [
    "Frames",
    "MediaError",
    "MediaErrorKind",
    "MediaInfo",
    "Sample",
    "SamplingMethod",
    "Segments",
    "perceptual_hash",
    "probe",
    "sample",
    "sample_audio",
    "sample_frames",
    "sampled_indices",
]
