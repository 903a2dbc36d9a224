"""How long the forecast of one video takes: in a cold process, in a warm one, and with banks of different sizes.

    python -m tests.benchmarks.predict_speed VIDEO --feedback FILE [--members 1000 100000 1000000] [--folder DIR]

The settings name a finished store, which is only read. A bank of N members is made of the store's own: each new member has the
vectors of one of them plus noise, and its features, table row and label. Every process forecasts the same video.
Figures are medians; `own` is the time beside decoding and encoders. CPU is that of the process and its decoding worker, with
decoding and encoders; on a machine with other work it is the figure to go by.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from assets.memory.memory_bank import open_bank
from assets.prediction import forecast_service
from assets.prediction.forecast_service import service_files
from assets.prediction.service_files import FACTS, SEARCHED_EXACTLY
from assets.settings import Settings
from pipeline.predicting.forecaster import Forecaster
from pipeline.settings import changed, load
from storage.bank import MemoryBank, build
from storage.derived_store import derive_store
from storage.store import Store

COLD, WARM = 5, 30  # repetitions, unless others are asked for
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
    large = MemoryBank(version)
    with store.artifact(forecast_service.NAME).new(inputs_hash=str(members), fingerprint="grown") as grown_files:
        for file in files.version.path.iterdir():
            if file.suffix == ".npy" and file.name not in ("titles.npy", "title_offsets.npy"):
                np.save(grown_files / file.name, np.load(file)[rows])
            elif file.suffix == ".parquet":
                (grown_files / file.name).hardlink_to(file)
        np.save(grown_files / "titles.npy", np.zeros(members, np.uint8) + ord("t"))
        np.save(grown_files / "title_offsets.npy", np.arange(members + 1))
        size, aim = settings.retrieval.neighbours, settings.bank.recall
        lists = large.write_lists(grown_files, exact_up_to=SEARCHED_EXACTLY, size=size, aim=aim)
        facts = {**files.facts, "bank": version.version, "lists": lists}
        (grown_files / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return changed(settings, {"store": {"path": str(folder), "results": str(folder / "results")}})


def told(name: str, walls: list[float], cpu: list[float], steps: list[dict[str, float]]) -> str:
    """Return one line: the median durations."""
    own = [wall - sum(step[name] for name in FOREIGN) for wall, step in zip(walls, steps, strict=True)]
    medians = {step: np.median([one[step] for one in steps]) for step in steps[0]}
    shown = ", ".join(f"{step} {1000 * seconds:.1f}" for step, seconds in medians.items())
    medians_ms = [1000 * np.median(values) for values in (cpu, walls, own)]
    return "{}: CPU {:.0f} ms, wall {:.0f} ms, own {:.0f} ms ({})".format(name, *medians_ms, shown)


def searched(settings: Settings) -> str:
    """Return one line: the recall of the bank's search, and the time of single ones."""
    store = Store(settings.store_folder())
    artifact, files = store.artifact("memory_bank"), service_files(store, settings)
    bank = MemoryBank.open(artifact, expect=artifact.current().metadata["versions"], lists=files.lists)
    measured = bank.quality(size=settings.retrieval.neighbours)
    return f"search: {bank.index}, recall {measured.recall:.3f}, single query {measured.latency_ms:.1f} ms (95th percentile)"


def used_by_children() -> float:
    """Return the CPU seconds of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cold(arguments: list[str], environment: dict[str, str], repetitions: int) -> str:
    walls, cpu, steps = [], [], []
    for _ in range(repetitions):
        started, before = time.perf_counter(), used_by_children()
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments], env=environment, check=True, capture_output=True, text=True
        )
        walls.append(time.perf_counter() - started)
        cpu.append(used_by_children() - before)
        steps.append(json.loads(done.stdout)["seconds"])
    return told("cold process", walls, cpu, steps)


def warm(settings: Settings, video: str, feedback: str | None, repetitions: int, *, details: bool) -> str:
    walls, cpu, steps = [], [], []
    with Forecaster(settings, details=details) as forecaster:
        for repetition in range(repetitions + 3):
            started, before = time.perf_counter(), time.process_time()
            forecast = forecaster.predict(video, feedback=feedback)
            if repetition >= 3:
                walls.append(time.perf_counter() - started)
                cpu.append(time.process_time() - before)
                steps.append(dict(forecast.seconds))
    return told("warm" if details else "warm, number alone", walls, cpu, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--feedback")
    parser.add_argument("--members", type=int, nargs="*", default=[])
    parser.add_argument("--folder", type=Path, default=None, help="where grown stores are written")
    parser.add_argument("--cold", type=int, default=COLD, help="cold processes per bank")
    parser.add_argument("--warm", type=int, default=WARM, help="warm forecasts per bank")
    args = parser.parse_args()
    settings = load()
    arguments = [args.video, *(["--feedback", args.feedback] if args.feedback else [])]

    def show(own: Settings, environment: dict[str, str]) -> None:
        print("  " + searched(own), flush=True)
        print("  " + cold(arguments, environment, args.cold), flush=True)
        for details in (True, False):
            print("  " + warm(own, args.video, args.feedback, args.warm, details=details), flush=True)

    print("the store's own bank", flush=True)
    show(settings, dict(os.environ))
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        for members in args.members:
            large = grown(settings, Path(scratch) / str(members), members)
            environment = {**os.environ, "REELCAST_STORE__PATH": str(large.store_folder())}
            print(f"{members:,} members", flush=True)
            show(large, environment)


if __name__ == "__main__":
    main()
