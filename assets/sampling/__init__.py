"""Frames and sound, taken from the media files."""
