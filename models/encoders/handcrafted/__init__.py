"""Encoders that need no download: what can be measured of colour, light, edges, motion, sound and words with NumPy.

They carry real signal, run anywhere, and are the feature-engineering baseline of the papers.
"""
