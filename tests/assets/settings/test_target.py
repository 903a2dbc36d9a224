"""Targets as the settings name them."""

import pytest

from assets.settings import Protocol
from assets.settings.target import parse_target, parse_targets


@pytest.mark.parametrize(
    ("text", "name", "hours"),
    [
        ("comment@7d", "comment@7d", 168.0),
        ("comment@168h", "comment@7d", 168.0),
        ("view@2w", "view@14d", 336.0),
        ("like@90m", "like@90m", 1.5),
        ("like@1.5h", "like@90m", 1.5),
        (" likes@home@36h ", "likes@home@36h", 36.0),
        ("loops@end", "loops@end", None),
        ("a@0.001h", "a@0.001h", 0.001),
    ],
)
def test_a_target_has_one_name_for_every_way_to_write_it(text, name, hours):
    target = parse_target(text)
    assert (target.name, target.hours) == (name, hours)
    assert parse_target(name) == target


def test_every_bad_entry_is_named_with_what_is_allowed():
    with pytest.raises(ValueError) as refused:
        parse_targets(["view", "@7d", "like@7y", "like@0h", "like@soon", "view@7d", "view@168h"])
    problems = str(refused.value).split("; ")
    assert problems[0].startswith("'view' is not METRIC@HORIZON") and problems[1].startswith("'@7d' is not")
    assert "'like@7y' has the unit 'y'; allowed are m, h, d, w" in str(refused.value)
    assert "the horizon '0h'" in str(refused.value) and "the horizon 'soon'" in str(refused.value)
    assert problems[-1] == "'view@168h' names the target view@7d again"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"targets": ["like@7d", "view@24h"]},
            "the target view@1d (24 hours) must be longer than the observation window",
        ),
        ({"targets": ["like@7d"], "label_event": "like"}, "either targets or these two"),
        ({"targets": ["like@7d"], "horizon_hours": 24.0}, "either targets or these two"),
        ({"targets": ["like@7x"]}, "has the unit 'x'"),
        ({"ages": [-1.0, 2.0]}, "different ages from 0"),
        ({"hours": -1.0}, "greater than or equal to 0"),
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(settings, says):
    with pytest.raises(ValueError) as refused:
        Protocol(**settings)
    assert says in str(refused.value)


def test_the_first_target_is_the_primary_one():
    assert Protocol(targets=["view@30d", "like@end"]).horizon == 720
    assert Protocol(targets=["like@end", "view@30d"]).horizon is None
    assert Protocol(targets=["like@24h"], first_k=5).horizon == 24  # a window of events has no length in hours


def test_a_window_of_no_length_and_an_age_of_zero_are_allowed():
    protocol = Protocol(hours=0, ages=[0.0, 1.0])
    assert protocol.forecasts_at_publication and not Protocol(hours=0, first_k=3).forecasts_at_publication
