"""Settings that are changed for one run in Dagster's launchpad."""

import dagster as dg
import pytest

from assets.settings import Settings
from pipeline.definitions import defs
from pipeline.launchpad import settings_resource
from pipeline.settings import load, sections

# `__ASSET_JOB` is what the button "Materialize" starts.
JOBS = ("everything", "__ASSET_JOB")


def run_config(changes):
    return {"resources": {"settings": {"config": changes}}}


def shown_in(job: str) -> dict[str, set[str]]:
    """Return the fields of each section that a launchpad offers."""
    schema = defs.resolve_job_def(job).resource_defs["settings"].config_schema.config_type
    return {name: set(field.config_type.fields) for name, field in schema.fields.items()}


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": {"alfa": 0.6}}, "alfa"),
        ({"model": {"alpha": "much"}}, "alpha"),
        ({"encoders": {"profile": "large"}}, "large"),
        ({"model": {"alpha": 5.0}}, r"model\.alpha: .*less than or equal to 1"),
        ({"model": {"train": ["m4tr"]}}, "different names among m3tr"),
        ({"protocol": {"hours": 168.0}}, "the label is observed"),
    ],
)
def test_what_the_settings_refuse_is_refused_before_there_is_a_run(job, changes, says):
    with pytest.raises(dg.DagsterInvalidConfigError, match=says):
        dg.validate_run_config(defs.resolve_job_def(job), run_config(changes))


@pytest.mark.parametrize("job", JOBS)
def test_what_the_settings_allow_is_taken(job):
    changes = {"model": {"alpha": 0.6, "options": {"m3tr": {"alpha": 0.5}}}, "protocol": {"first_k": 5, "hours": 12}}
    assert dg.validate_run_config(defs.resolve_job_def(job), run_config(changes))


@pytest.mark.parametrize("job", JOBS)
def test_a_launchpad_offers_no_field_that_a_run_ignores(job):
    shown = shown_in(job)
    hidden = {
        (section, field)
        for section, schema in sections().items()
        for field in schema.model_fields
        if field not in shown.get(section, ())
    }
    about = {(s, f): sections()[s].model_fields[f].description + (sections()[s].__doc__ or "") for s, f in hidden}
    of_upkeep = {place for place in hidden if place[0] == "upkeep"}
    assert all("Read at start, not from the launchpad" in about[place] for place in hidden - of_upkeep)
    assert {("data", "folder"), ("store", "path"), ("run", "executor"), ("automation", "nightly")} <= hidden
    assert len(of_upkeep) == len(sections()["upkeep"].model_fields)


def test_a_field_that_is_said_to_be_read_at_start_is_hidden():
    shown = shown_in("everything")
    for section, schema in sections().items():
        for name, field in schema.model_fields.items():
            if "not from the launchpad" in field.description + (schema.__doc__ or ""):
                assert name not in shown.get(section, ())


def test_the_launchpad_of_the_upkeep_offers_what_the_upkeep_reads():
    shown = shown_in("upkeep")
    assert set(shown) == {"store", "bank", "upkeep"}
    with pytest.raises(dg.DagsterInvalidConfigError, match=r"upkeep\.keep_versions"):
        dg.validate_run_config(defs.resolve_job_def("upkeep"), run_config({"upkeep": {"keep_versions": 0}}))


def test_a_run_that_changes_one_field_keeps_what_the_environment_says_of_the_others():
    seen = {}

    @dg.asset
    def look(settings: Settings) -> None:
        seen.update(folder=settings.data.folder, dim=settings.model.dim, alpha=settings.model.alpha)

    given = load(environment={"REELCAST_DATA__FOLDER": "/own", "REELCAST_MODEL__DIM": "32"})
    for resource in (given, settings_resource(given, sections().keys())):
        seen.clear()
        chosen = run_config({"model": {"alpha": 0.5}})
        assert dg.materialize([look], resources={"settings": resource}, run_config=chosen).success
        assert seen == {"folder": "/own", "dim": 32, "alpha": 0.5}
