"""The group `embeddings`: vectors of frames, sound, words and whole videos."""
