"""The demonstration set: videos, titles, users and simulated feedback in the MicroLens layout.

    from pipeline.demonstration import make
    make("data/demonstration")

See docs/demonstration.md for what is simulated and how honest it is.
"""

from pipeline.demonstration.dataset import make

__all__ = ["make"]
