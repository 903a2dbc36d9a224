"""Frames and sound of video files, exactly and upright, through PyAV."""

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
