"""Words for frames and for sound."""
