"""How long the forecast of one video takes: in a cold process, in a warm one, and with banks of different sizes.

    python -m tests.benchmarks.predict_speed VIDEO --feedback FILE [--members 1000 100000 1000000] [--folder DIR]

The settings name a finished store, which is only read. A bank of N members is made of the store's own: each new member has the
vectors of one of them plus noise, and its features, table row and label. Every process forecasts the same video.
Figures are medians; `own` is the time beside decoding and encoders.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from assets.memory.memory_bank import open_bank
from assets.prediction import forecast_service
from assets.prediction.forecast_service import service_files
from assets.prediction.service_files import FACTS
from assets.settings import Settings
from pipeline.predicting.forecaster import Forecaster
from pipeline.settings import changed, load
from storage.bank import build
from storage.derived_store import derive_store
from storage.store import Store

COLD, WARM = 5, 30  # repetitions
FOREIGN = ("decoding", "encoders")  # steps that take as long as the file and the encoders do
COMMAND = "import sys; from pipeline.command_line import main; sys.exit(main(['predict', *sys.argv[1:], '--json']))"


def grown(settings: Settings, folder: Path, members: int) -> Settings:
    """Return settings with a store whose bank has `members` members."""
    source = Store(settings.store_folder())
    bank, files = open_bank(source), service_files(source, settings)
    random, rows = np.random.default_rng(0), np.arange(members) % len(bank)
    store = derive_store(source, folder)

    def noisy(vectors: np.ndarray) -> np.ndarray:
        noise = random.standard_normal((members, vectors.shape[1]), dtype=np.float32) * np.float32(0.02)
        noise += vectors[rows]
        return noise

    artifact = store.artifact("memory_bank")
    version = build(
        artifact,
        items=[f"m{row}" for row in range(members)],
        content=noisy(bank.content),
        content_mask=bank.content_mask[rows],
        temporal=noisy(bank.temporal),
        temporal_mask=bank.temporal_mask[rows],
        labels=bank.labels[rows],
        label_times=None if bank.label_times is None else bank.label_times[rows],
        groups=np.arange(members),
        versions=bank.version.metadata["versions"],
        metadata={name: bank.version.metadata[name] for name in ("temporal_key", "ages")},
    )
    artifact.activate(version.version)
    with store.artifact(forecast_service.NAME).new(inputs_hash=str(members), fingerprint="grown") as grown_files:
        for file in files.version.path.iterdir():
            if file.suffix == ".npy" and file.name not in ("titles.npy", "title_offsets.npy"):
                np.save(grown_files / file.name, np.load(file)[rows])
            elif file.suffix == ".parquet":
                (grown_files / file.name).hardlink_to(file)
        np.save(grown_files / "titles.npy", np.zeros(members, np.uint8) + ord("t"))
        np.save(grown_files / "title_offsets.npy", np.arange(members + 1))
        facts = {**files.facts, "bank": version.version}
        (grown_files / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return changed(settings, {"store": {"path": str(folder), "results": str(folder / "results")}})


def told(name: str, walls: list[float], steps: list[dict[str, float]]) -> str:
    """Return one line: the median durations."""
    own = [wall - sum(step[name] for name in FOREIGN) for wall, step in zip(walls, steps, strict=True)]
    medians = {step: np.median([one[step] for one in steps]) for step in steps[0]}
    shown = ", ".join(f"{step} {1000 * seconds:.1f}" for step, seconds in medians.items())
    return f"{name}: {1000 * np.median(walls):.0f} ms, own {1000 * np.median(own):.0f} ms ({shown})"


def cold(arguments: list[str], environment: dict[str, str]) -> str:
    walls, steps = [], []
    for _ in range(COLD):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments], env=environment, check=True, capture_output=True, text=True
        )
        walls.append(time.perf_counter() - started)
        steps.append(json.loads(done.stdout)["seconds"])
    return told("cold process", walls, steps)


def warm(settings: Settings, video: str, feedback: str | None) -> str:
    walls, steps = [], []
    with Forecaster(settings) as forecaster:
        for repetition in range(WARM + 3):
            started = time.perf_counter()
            forecast = forecaster.predict(video, feedback=feedback)
            if repetition >= 3:
                walls.append(time.perf_counter() - started)
                steps.append(dict(forecast.seconds))
    return told("warm", walls, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--feedback")
    parser.add_argument("--members", type=int, nargs="*", default=[])
    parser.add_argument("--folder", type=Path, default=None, help="where grown stores are written")
    args = parser.parse_args()
    settings = load()
    arguments = [args.video, *(["--feedback", args.feedback] if args.feedback else [])]
    print(cold(arguments, dict(os.environ)), flush=True)
    print(warm(settings, args.video, args.feedback), flush=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        for members in args.members:
            large = grown(settings, Path(scratch) / str(members), members)
            environment = {**os.environ, "REELCAST_STORE__PATH": str(large.store_folder())}
            print(f"{members:,} members", flush=True)
            print("  " + cold(arguments, environment), flush=True)
            print("  " + warm(large, args.video, args.feedback), flush=True)


if __name__ == "__main__":
    main()
