"""The error of a figure that has nothing to show."""


class NothingToShow(ValueError):
    """The data lack what a figure shows; the message names it."""
