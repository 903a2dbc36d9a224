"""The table of encoders: the arguments that a class gets, and the arguments that are refused."""

import sys

import pytest

from models.encoders import PRETRAINED, identity, load, profiles, takes_device, width
from models.encoders.encoder_table import CLASSES, class_of


class PlacedEncoder:
    """An encoder of frames that runs somewhere."""

    width = 2

    def __init__(self, *, scale: int = 1, device: str = "cpu"):
        self.device = device
        self.identity = {"name": "placed", "options": {"scale": scale}, "code": 1}


@pytest.fixture
def placed(monkeypatch):
    monkeypatch.setitem(CLASSES["visual"], "placed", "models.encoders.placed:PlacedEncoder")
    monkeypatch.setitem(sys.modules, "models.encoders.placed", sys.modules[__name__])


def test_every_class_of_the_table_has_an_identity():
    for role, named in CLASSES.items():
        for profile in named:
            made = class_of(role, profile)()
            assert made.identity == identity(role, profile) and made.identity["code"] >= 1
            assert not takes_device(role, profile)
        assert profiles(role) == (*named, *PRETRAINED)


@pytest.mark.usefixtures("placed")
def test_a_class_gets_its_device_and_its_options():
    made = load("visual", "placed", device="cuda:1", scale=3)
    assert made.device == "cuda:1" and made.identity["options"] == {"scale": 3}
    assert identity("visual", "placed", scale=3) == made.identity and width("visual", "placed") == 2
    assert takes_device("visual", "placed") and takes_device("visual", "paper")


@pytest.mark.usefixtures("placed")
def test_arguments_that_a_class_does_not_take_are_refused():
    with pytest.raises(ValueError, match="placed visual has no option 'size'; its options are: scale"):
        load("visual", "placed", size=3)
    with pytest.raises(ValueError, match="the placed profile takes no checkpoint"):
        load("visual", "placed", checkpoint="a/b")
    with pytest.raises(ValueError, match="profile of acoustic must be one of handcrafted, tiny, paper, not 'placed'"):
        load("acoustic", "placed")
    with pytest.raises(ValueError, match="role must be one of visual, acoustic, text, captions, sounds, not 'smell'"):
        profiles("smell")
