"""A stage whose code changed has another number, or somebody has said that its results are the same."""

import pytest

from tests.stage_code.call_graph import Repository
from tests.stage_code.digests import MACHINERY, PACKAGES, PURE, Code, stages
from tests.stage_code.snapshot import COMMAND, ROOT, Snapshot, accepted, changes, current, read

STAGE = '''"""Size of each file."""
import dagster as dg
import numpy as np

from assets.engine import run_stage
from models import measures
from models.measures import largest as biggest

LIMIT = 3


@dg.asset(group_name="sampling", description=__doc__)
def size(context, settings):
    """Measure every file."""
    from models.later import smallest

    stage = run_stage(Fingerprint(code=1))
    return stage, measures.mean([LIMIT]), biggest([2]), smallest
'''
FILES = {
    "assets/__init__.py": "",
    "assets/sampling/__init__.py": "",
    "assets/sampling/size.py": STAGE,
    "assets/engine/__init__.py": "from assets.engine.run import run_stage\n",
    "assets/engine/run.py": "def run_stage(fingerprint):\n    return fingerprint\n",
    "models/__init__.py": "",
    "models/measures/__init__.py": (
        "from models.measures.average import mean\nfrom models.measures.extremes import Large, largest\n"
    ),
    "models/measures/average.py": "SCALE = 2\n\n\ndef mean(values):\n    return SCALE * sum(values)\n",
    "models/measures/extremes.py": (
        "def largest(values):\n    return Large().of(values)\n\n\n"
        "class Large:\n    def of(self, values):\n        return max(values)\n\n\n"
        "def unused(values):\n    return values\n"
    ),
    "models/later.py": "def smallest(values):\n    return min(values)\n",
}


@pytest.fixture(scope="module")
def codes() -> dict[str, Code]:
    """The code of every stage and encoder of this repository."""
    return current()


@pytest.fixture
def code(tmp_path):
    """The code of the stage above, in a repository whose files are changed by (file, old text, new text)."""

    def make(*changed: tuple[str, str, str]) -> Code:
        files = dict(FILES)
        for file, old, new in changed:
            assert old in files[file]
            files[file] = files[file].replace(old, new)
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return stages(Repository(tmp_path, ("assets", "models")))["size"]

    return make


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("assets/sampling/size.py", "LIMIT = 3", "LIMIT = 4"),
        ("assets/sampling/size.py", "[2]", "[5]"),
        ("models/measures/average.py", "sum(values)", "len(values)"),
        ("models/measures/average.py", "SCALE = 2", "SCALE = 3"),
        ("models/measures/extremes.py", "max(values)", "min(values)"),
        ("models/later.py", "min(values)", "max(values)"),
    ],
)
def test_what_a_stage_computes_with_is_part_of_it(code, file, old, new):
    assert code((file, old, new)).digest != code().digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("assets/sampling/size.py", "Measure every file.", "Find out how large a file is."),
        ("assets/sampling/size.py", "LIMIT = 3", "LIMIT = 3  # files"),
        (
            "assets/sampling/size.py",
            "def size(context, settings):",
            "def size(\n    context: object,\n    settings: object\n) -> None:",
        ),
        ("assets/sampling/size.py", 'group_name="sampling"', 'group_name="ingest"'),
        ("assets/sampling/size.py", "def size", "@run_stage\ndef size"),
        ("assets/sampling/size.py", "code=1", "code=2"),
        ("assets/engine/run.py", "return fingerprint", "return [fingerprint]"),
        ("models/measures/extremes.py", "return values", "return list(values)"),
        ("models/measures/average.py", "def mean(values)", 'def mean(values: list[int]) -> "int"'),
    ],
)
def test_prose_layout_machinery_and_what_is_not_used_do_not_count(code, file, old, new):
    assert code((file, old, new)).digest == code().digest


def test_a_function_may_move_to_another_file(code):
    average = FILES["models/measures/average.py"]
    moved = code(
        ("models/measures/__init__.py", "from models.measures.average import", "from models.later import"),
        ("models/later.py", "def smallest", f"{average}\n\ndef smallest"),
    )
    assert "models.later.mean" in moved.functions and "models.measures.average.mean" in code().functions
    assert moved.digest == code().digest


def test_the_number_is_found(code):
    file = "assets/sampling/size.py"
    assert code().number == 1
    assert code((file, "code=1", "code=7")).number == 7
    assert code((file, "code=1", "")).number is None


def test_the_number_may_be_the_constant_code(code):
    file = "assets/sampling/size.py"
    constant = (file, "LIMIT = 3", "LIMIT = 3\nCODE = 4"), (file, "code=1", "code=CODE")
    raised = (*constant, (file, "CODE = 4", "CODE = 5"))
    assert code(*constant).number == 4 and code(*raised).number == 5
    assert code(*constant).digest == code(*raised).digest


def snapshot(**codes: tuple[int, str]) -> Snapshot:
    functions = {"shared": codes["one"][1], "alone": codes["two"][1]}
    return Snapshot({name: Code(*code) for name, code in codes.items()}, functions)


def test_a_change_needs_a_number_or_a_word():
    before = snapshot(one=(1, "a"), two=(1, "b"))
    after = {"one": Code(1, "x", {"shared": "x"}), "two": Code(2, "y", {"shared": "x", "alone": "y"})}
    found = {change.name: change for change in changes(before, after)}
    assert not found["one"].settled and found["two"].settled and found["two"].functions == ["shared", "alone"]
    half = accepted(before, after, [])
    assert half.codes["one"] == before.codes["one"] and half.codes["two"].number == 2
    assert [str(change) for change in changes(half, after)] == ["one: shared"]
    assert not changes(accepted(before, after, ["one"]), after)


def test_a_number_that_fell_needs_a_word():
    (change,) = changes(snapshot(one=(2, "a"), two=(1, "b")), {"one": Code(1, "a"), "two": Code(1, "b")})
    assert not change.settled


def test_the_lists_of_modules_name_some_that_exist():
    repository = Repository(ROOT, PACKAGES)
    assert all(repository.module(name) for name in (*MACHINERY, *PURE))


def test_what_a_stage_of_this_repository_uses(codes):
    used = {name: set(code.functions) for name, code in codes.items()}
    assert "models.media.frames.sample_frames" in used["frames"]
    assert "models.predictors.training.train" in used["predictor/m3tr"]
    assert "assets.encoding.encoding_tasks.padded" in used["visual_embeddings"]
    assert "models.encoders.handcrafted.visual.measure" in used["encoder/captions/handcrafted"]
    assert "models.encoders.pretrained.preparing.ASTPreparation" in used["encoder/acoustic/pretrained"]
    assert not any("ASTPreparation" in name for name in used["encoder/visual/pretrained"])
    assert not any("sample_frames" in name for name in used["visual_embeddings"])  # another stage's
    assert all(code.number for code in codes.values())


def test_every_stage_encoder_and_predictor_is_watched(codes):
    from models.encoders.encoder_table import CLASSES
    from models.predictor_table import CLASSES as PREDICTORS
    from pipeline.definitions import defs

    names = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    names |= {f"encoder/{role}/{profile}" for role, named in CLASSES.items() for profile in named}
    names |= {f"predictor/{name}" for name in PREDICTORS}
    assert codes.keys() == names | {f"encoder/{role}/pretrained" for role in CLASSES}


def test_a_stage_whose_code_changed_has_another_number(codes):
    found = changes(read(), codes)
    lines = "\n  ".join(map(str, found))
    assert not found, (
        f"the code of these stages is not that of the snapshot:\n  {lines}\n"
        "If a stage's results change, raise its number (`CODE`), so that stored rows are computed again, and run:\n"
        f"  {COMMAND}\n"
        f"If they don't, say so:\n  {COMMAND} --same-results STAGE ..."
    )
