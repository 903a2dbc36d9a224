"""Titles from templates: the category gives the subject, the style gives the tone."""

import numpy as np

from pipeline.demonstration.plan import Video

SUBJECTS = {
    "dance": ("dance trend", "hip hop choreography", "street dance", "couple dance challenge", "dance practice"),
    "cooking": ("noodle soup", "crispy dumplings", "chocolate cake", "spicy fried rice", "street food breakfast"),
    "cats": ("my cat", "tiny kitten", "two lazy cats", "cat versus wool ball", "rescued kitten"),
    "cars": ("sports car", "old truck restoration", "night drive", "electric car test", "drift training"),
    "nature": ("mountain sunrise", "quiet forest walk", "birds by the lake", "autumn hills", "river valley"),
    "sports": ("last minute goal", "tennis rally", "basketball dunk", "street football", "marathon finish"),
    "gaming": ("boss fight", "speed run", "pixel platformer", "ranked match", "secret level"),
    "news": ("breaking news", "city council", "storm warning", "market update", "press conference"),
    "music": ("piano cover", "guitar solo", "late night beat", "choir rehearsal", "vinyl session"),
    "diy": ("wooden shelf", "bike repair", "handmade lamp", "garden bench", "garage workshop"),
}
TONES = {
    "drama": ("You won't believe this {}", "WAIT for the end: {}", "{} gone wrong", "Shocking {}, everyone is talking"),
    "quality": ("A carefully made {}", "{} in full detail", "The art of the {}", "{}, step by step"),
    "pace": ("{} in ten seconds", "Fastest {} ever", "{} challenge, try to keep up", "Quick {}"),
    "colour": ("Beautiful {}", "The brightest {} today", "{} and golden light", "Colourful {}, enjoy"),
    "plain": ("{}", "just a {}", "{} again", "some {} from today", "{}, part 2"),
}
TAGS = {"drama": "#omg", "quality": "#howto", "pace": "#challenge", "colour": "#aesthetic", "plain": "#daily"}
ENDINGS = ("", "", "", " 😂", " ❤️", " (full video)", ", what do you think?")
EMPTY_SHARE = 0.02
TAGGED_SHARE = 0.4


def write(video: Video, rng: np.random.Generator) -> str:
    """Return a title on one line. It may contain commas; 2 % of the titles are empty."""
    if rng.random() < EMPTY_SHARE:
        return ""
    strength = {name: getattr(video.style, name) for name in TONES if name != "plain"}
    weights = np.array([np.exp(5.0 * (strength[name] - 0.6)) if name in strength else 1.0 for name in TONES])
    tone = list(TONES)[rng.choice(len(TONES), p=weights / weights.sum())]
    subjects, templates = SUBJECTS[video.category], TONES[tone]
    title = templates[rng.integers(len(templates))].format(subjects[rng.integers(len(subjects))])
    title = title[0].upper() + title[1:] + ENDINGS[rng.integers(len(ENDINGS))]
    if rng.random() < TAGGED_SHARE:
        title += f" {TAGS[tone]} #{video.category}"
    return title
