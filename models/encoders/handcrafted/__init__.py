"""Encoders that need no download: features of colour, light, edges, motion, sound and words, computed with NumPy and SciPy.

They run on any machine and are the papers' feature-engineering baseline.
"""
