"""One plain sentence that says why a forecast is what it is, and no more than the numbers say."""

from __future__ import annotations

from collections.abc import Sequence

from models.reasons.parts import COUNTED, NAMES, NEIGHBOURS
from models.reasons.reasons import Reasons

NAMED = 0.1  # least share of a part that is named
MOSTLY = 0.5  # least share of a part that mostly explains the forecast
TOGETHER = 0.25  # least share of the remainder that is mentioned
PLURAL = (NEIGHBOURS, "feedback", "frames", "tags")  # parts whose name is a plural


def sentence(reasons: Reasons, *, row: int = 0, target: int = 0) -> str:
    """Return one sentence about one forecast.

    It names at most two parts that push the forecast away from the base, and at most two that push back, each with at least
    a tenth of the whole. "Mostly" needs half of it. The remainder is mentioned from a quarter on. "About average" means that
    the parts cancel, up to a tenth.

    Args:
        reasons: Reasons of n windows.
        row: Number of the window.
        target: Number of the target.

    Example:
        >>> import numpy as np
        >>> def one(x):
        ...     return np.array([[x]])
        >>> parts = {"feedback": one(1.5), "neighbours": one(0.5), "words": one(-0.4)}
        >>> sentence(Reasons(one(5.0), one(3.4), parts, np.ones((1, 1, 3))))
        'Above average: mostly its first hours (62 %), then 3 similar videos (21 %); its title lowers it (17 %).'
    """
    one = reasons.at(row, target)
    difference, total = float(one.forecast - one.base), float(one.total)
    shares = {name: float(one.share(values)) for name, values in one.parts.items()}
    remainder, retrieved = float(one.share(one.remainder)), int((one.neighbours != 0).sum())
    if not total:
        return "Average: nothing that is known of it moves the forecast."
    named = sorted((name for name in shares if shares[name] >= NAMED), key=lambda name: -shares[name])
    words = {name: _words(name, shares[name], retrieved) for name in named}
    rising = {name: bool(one.parts[name] > 0) for name in named if name != COUNTED}
    up, down = ([name for name, is_up in rising.items() if is_up == wanted][:2] for wanted in (True, False))
    if abs(difference) < NAMED * total:
        text, towards, against = "About average", [], [(up, "raise"), (down, "lower")]
    else:
        text, towards, against = "Above average", up, [(down, "lower")]
        if difference < 0:
            text, towards, against = "Below average", down, [(up, "raise")]
    if towards:
        text += (
            f": {'mostly ' if shares[towards[0]] >= MOSTLY else ''}{', then '.join(words[name] for name in towards)}"
        )
    text += "".join(f"; {_verb(names, words, verb)}" for names, verb in against if names)
    if COUNTED in named:
        text += f"; models that were below the count so far are raised to it ({_percent(shares[COUNTED])})"
    if remainder >= TOGETHER:
        text += f"; {_percent(remainder)} come from parts together and from none alone"
    return f"{text}."


def _verb(names: Sequence[str], words: dict[str, str], verb: str) -> str:
    """Return "A lowers it (10 %)", or "A (12 %) and B (10 %) lower it"."""
    if len(names) > 1:
        return f"{words[names[0]]} and {words[names[1]]} {verb} it"
    name, share = words[names[0]].rsplit(" (", 1)
    is_plural = names[0] in PLURAL and not name.startswith("1 ")
    return f"{name} {verb}{'' if is_plural else 's'} it ({share}"


def _words(name: str, share: float, retrieved: int) -> str:
    known = NAMES[name]
    if name == NEIGHBOURS and retrieved:
        known = f"{retrieved} similar videos" if retrieved > 1 else "1 similar video"
    return f"{known} ({_percent(share)})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
