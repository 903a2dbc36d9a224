"""The group `captions`: captions of frames and descriptions of sound."""
