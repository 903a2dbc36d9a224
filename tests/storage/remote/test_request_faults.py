"""Every request fails once; whoever runs next ends with what a run without a fault gives."""

import pytest

pytest.importorskip("obstore")

from tests.drill.every_request import WAYS, RemoteTrials
from tests.drill.small_run import PARTS


@pytest.mark.parametrize("part", ["table"])
def test_a_request_that_fails_is_made_good_by_the_next_run(tmp_path, part):
    assert [problem for what, problems in RemoteTrials(tmp_path, part).failures() for problem in problems] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", PARTS)
def test_every_request_of_every_part(tmp_path, part):
    trials = RemoteTrials(tmp_path, part)
    found = [f"{what}: {problem}" for way in WAYS for what, wrong in trials.failures((way,)) for problem in wrong]
    assert found == []
