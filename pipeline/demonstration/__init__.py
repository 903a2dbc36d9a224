"""The demonstration set: videos, titles, users and simulated feedback in the MicroLens layout.

docs/demonstration.md describes the simulation and the checks on it.

Example:
    from pipeline.demonstration import make

    make("data/demonstration")
"""

from pipeline.demonstration.dataset import make

__all__ = ["make"]
