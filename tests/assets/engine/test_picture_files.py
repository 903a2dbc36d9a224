"""Pictures are files of the instance, and the page of an asset has a short link to each."""

import re

import dagster as dg
import pytest
from matplotlib.figure import Figure
from PIL import Image

from assets.engine.picture_files import KEPT, WIDTH, as_linked_pictures
from assets.engine.plots import picture

SHOWN_WITHOUT_A_CLICK = 1000  # characters of Markdown, in Dagster 1.13


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def context(home):
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield dg.build_asset_context(instance=instance)


def drawn(number: int, *, inches: float = 6) -> dg.MetadataValue:
    figure = Figure(figsize=(inches, 3))
    figure.text(0, 0, str(number))
    return picture(figure)


def test_a_picture_becomes_a_short_link_to_a_png(context, home):
    given = {"curve": drawn(1), "rows": 3}
    linked = as_linked_pictures(context, "model", given)
    assert len(given["curve"].value) > SHOWN_WITHOUT_A_CLICK > len(linked["curve"].value)
    assert linked["rows"] == 3
    (file,) = home.rglob("*.png")
    assert file.read_bytes().startswith(b"\x89PNG")
    assert linked["curve"].value == f"![](/logs/pictures/model/curve/{file.stem}/png)"
    assert as_linked_pictures(context, "model", given) == linked  # a skipped asset links to the same file


def test_a_picture_that_is_wider_than_the_page_is_shown_smaller_and_opened_with_a_click(context, home):
    value = as_linked_pictures(context, "gallery", {"neighbours": drawn(1, inches=30)})["neighbours"].value
    shown, opened = re.fullmatch(r"\[!\[\]\(/logs/(.+)/png\)\]\(/logs/(.+)/png\)", value).groups()
    with (
        Image.open(home / "storage" / f"{shown}.png") as narrow,
        Image.open(home / "storage" / f"{opened}.png") as whole,
    ):
        assert whole.width > narrow.width == WIDTH
        assert narrow.height == round(whole.height * WIDTH / whole.width)
    assert len(value) < SHOWN_WITHOUT_A_CLICK


def test_old_pictures_are_removed(context, home):
    for number in range(KEPT + 2):
        as_linked_pictures(context, "other", {"curve": drawn(number)})
    assert len(list(home.rglob("other/**/*.png"))) == KEPT


def test_without_a_folder_of_logs_a_picture_stays_in_its_metadata():
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_asset_context(instance=instance)
        given = {"curve": drawn(1)}
        assert as_linked_pictures(context, "model", given) == given
