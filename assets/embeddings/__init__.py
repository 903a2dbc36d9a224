"""Vectors of frames, sound, words and whole videos."""
