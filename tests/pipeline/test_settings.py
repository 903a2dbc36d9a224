"""Settings: where they come from, which wins, and what is refused."""

from pathlib import Path

import pytest

from pipeline.settings import InvalidSettings, changed, load, reference


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "own.toml"
        file.write_text(text)
        return file

    return write


def test_defaults_are_the_papers():
    settings = load(environment={})
    assert settings.sampling.frames == 10
    assert settings.retrieval.neighbours == 10
    assert (settings.model.alpha, settings.model.batch_size, settings.model.weight_decay) == (0.8, 64, 1e-3)
    assert settings.protocol.horizon == 168


def test_a_variable_wins_over_the_file(write):
    file = write("[protocol]\nhours = 12\n[model]\nseeds = [4]\n")
    settings = load(file=file, environment={"REELCAST_PROTOCOL__HOURS": "6"})
    assert settings.protocol.hours == 6
    assert settings.model.seeds == [4]


def test_the_file_is_named_by_a_variable(write):
    file = write("[retrieval]\nneighbours = 20\n")
    assert load(environment={"REELCAST_CONFIG": str(file)}).retrieval.neighbours == 20


def test_none_unsets_and_lists_are_json():
    settings = load(environment={"REELCAST_PROTOCOL__FIRST_K": "none", "REELCAST_MODEL__SEEDS": "[7, 8]"})
    assert settings.protocol.first_k is None
    assert settings.model.seeds == [7, 8]


def test_options_of_a_predictor_come_from_the_file_or_as_json(write):
    of_file = load(file=write("[model.options.m3tr]\nalpha = 0.6\n"), environment={})
    of_variable = load(environment={"REELCAST_MODEL__OPTIONS": '{"m3tr": {"alpha": 0.6}}'})
    assert of_file.model.options == of_variable.model.options == {"m3tr": {"alpha": 0.6}}


def test_first_k_counts_to_the_end_of_the_data():
    assert load(environment={"REELCAST_PROTOCOL__FIRST_K": "5"}).protocol.horizon is None


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("REELCAST_PROTOCOL__FIRSTK", "5", "did you mean 'first_k'"),
        ("REELCAST_PROTOKOLL__HOURS", "5", "did you mean 'protocol'"),
        ("REELCAST_MODEL__ALPHA", "1.5", "less than or equal to 1"),
        ("REELCAST_MODEL__DIM", "wide", "valid integer"),
        ("REELCAST_MODEL__SEEDS", "0,1", "given as JSON"),
        ("REELCAST_MODEL__SEEDS", "[1, 1]", "different seeds"),
        ("REELCAST_MODEL__OPTIONS", "m3tr", "an object is given as JSON"),
        ("REELCAST_MODEL__OPTIONS", '{"m4tr": {}}', "unknown predictor 'm4tr'; allowed: m3tr"),
        ("REELCAST_MODEL__OPTIONS", '{"m3tr": {"alfa": 1}}', "options of m3tr: 'alfa' is unknown"),
        ("REELCAST_ENCODERS__PROFILE", "large", "'handcrafted', 'light', 'tiny' or 'paper'"),
        ("REELCAST_ENCODERS__DEVICE", "gpu", "cuda:N"),
        ("REELCAST_ENCODERS__VISUAL", "google/vit", "profile = 'paper'"),
        ("REELCAST_PROTOCOL__HOURS", "168", "the label is observed"),
        ("REELCAST_PROTOCOL__FRACTIONS", "[0.5, 0.4, 0.4]", "add up to 1"),
        ("REELCAST_SAMPLING__METHOD", "stride", "go together"),
        ("REELCAST_DATA__FOLDER", " ", "at least 1 character"),
    ],
)
def test_refused_with_the_variable_and_what_is_allowed(variable, value, says):
    with pytest.raises(InvalidSettings, match="settings refused") as refused:
        load(environment={variable: value})
    assert says in str(refused.value)


def test_every_problem_at_once_with_its_source(write):
    file = write("[model]\nalpha = 3\n")
    with pytest.raises(InvalidSettings) as refused:
        load(file=file, environment={"REELCAST_RUN__WORKERS": "-1"})
    assert f"{file}: model.alpha" in str(refused.value)
    assert "REELCAST_RUN__WORKERS" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [("[modl]\n", "did you mean 'model'"), ("[model]\nalfa = 1\n", "did you mean 'alpha'"), ("x =", "not TOML")],
)
def test_a_file_is_refused_by_name(write, text, says):
    file = write(text)
    with pytest.raises(InvalidSettings) as refused:
        load(file=file, environment={})
    assert says in str(refused.value)
    assert str(file) in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidSettings, match="does not exist"):
        load(file=tmp_path / "none.toml", environment={})


def test_the_reference_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == reference(), "run `reelcast settings --markdown > docs/settings.md`"


@pytest.mark.parametrize(
    "moment", ['"2024-03-01"', "2024-03-01", "2024-03-01T00:00:00Z", "1709251200", "1709251200000"]
)
def test_the_end_of_the_data_is_a_date_or_unix_time(write, moment):
    assert load(file=write(f"[data]\nas_of = {moment}\n"), environment={}).data.as_of_ms == 1_709_251_200_000


def test_an_end_of_the_data_that_is_no_time():
    with pytest.raises(InvalidSettings, match=r"REELCAST_DATA__AS_OF: .* a date \(2024-03-01.* unix time"):
        load(environment={"REELCAST_DATA__AS_OF": "last week"})


def test_settings_are_changed_in_a_copy_and_a_wrong_value_says_what_is_allowed():
    before = load(environment={"REELCAST_MODEL__DIM": "32"})
    after = changed(before, {"model": {"seeds": [7]}, "protocol": {"split": "chronological"}})
    assert (after.model.dim, after.model.seeds, after.protocol.split) == (32, [7], "chronological")
    assert before.model.seeds == [0, 1, 2]
    with pytest.raises(InvalidSettings, match=r"protocol\.split.*'paper' or 'chronological'"):
        changed(before, {"protocol": {"split": "by_author"}})
