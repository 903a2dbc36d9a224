"""Pictures are files of the instance, and the page of an asset has a short link to each."""

import dagster as dg
import pytest
from matplotlib.figure import Figure

from assets.engine.picture_files import KEPT, as_linked_pictures
from assets.engine.plots import picture

SHOWN_WITHOUT_A_CLICK = 1000  # characters of Markdown, in Dagster 1.13


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def context(home):
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield dg.build_asset_context(instance=instance)


def drawn(number: int) -> dg.MetadataValue:
    figure = Figure()
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


def test_old_pictures_are_removed(context, home):
    for number in range(KEPT + 2):
        as_linked_pictures(context, "other", {"curve": drawn(number)})
    assert len(list(home.rglob("other/**/*.png"))) == KEPT


def test_without_a_folder_of_logs_a_picture_stays_in_its_metadata():
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_asset_context(instance=instance)
        given = {"curve": drawn(1)}
        assert as_linked_pictures(context, "model", given) == given
