"""Training speed and memory of MMRA at MicroLens's size, beside a loop of the form that its authors published.

    python -m tests.benchmarks.mmra_speed [--videos 2000] [--steps 12] [--threads 2]

Both train on videos with 10 frames and one text vector of width 768, each with 10 retrieved videos, in batches of 64,
with d = 768, a perceptron of 7680-800-200-1, and separate weights for video and retrieved videos, from features on
disk.

The peer is written from descriptions of the published loop, not from its code. A data set opens one file per video and
modality, for a video and for each of its retrieved videos; all retrieved videos go through the embedding, however often
a batch holds them; queries and keys pass through tanh, one softmax serves both signs, and values are not projected,
which is less arithmetic than the paper's attention has. The files hold `torch.save` tensors; the descriptions name no
format, so `peer, .npy files` has the format that is read fastest, and `peer, in memory` reads no files.

Printed are samples per second (the median step), the peak of resident memory of a process that does nothing else, and the
ratio of the rates.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from models.predictors import Bank, Neighbourhood, Samples, VideoFeatures
from models.predictors.features import MODALITIES, PackedRows
from models.predictors.mmra import MMRAConfig, MMRAPredictor
from models.predictors.training_options import TrainingOptions

FRAMES, WIDTH, NEIGHBOURS, BATCH = 10, 768, 10, 64
ROWS = {"visual": FRAMES, "text": 1}


def write(folder: Path, videos: int) -> None:
    """Write the features as one file per video and modality (float32) and as one pack per modality (float16)."""
    random = np.random.default_rng(0)
    for name, rows in ROWS.items():
        values = random.standard_normal((videos, rows, WIDTH), np.float32)
        np.save(folder / f"{name}.npy", values.reshape(-1, WIDTH).astype(np.float16))
        (folder / name).mkdir()
        for video, features in enumerate(values):
            np.save(folder / name / f"{video}.npy", features)
            torch.save(torch.from_numpy(features.copy()), folder / name / f"{video}.pt")
    index = (np.arange(videos)[:, None] + random.integers(1, videos, (videos, NEIGHBOURS))) % videos
    np.savez(
        folder / "neighbours.npz",
        index=index,
        score=random.random(index.shape, np.float32),
        label=random.standard_normal(index.shape, np.float32),
        target=random.standard_normal(videos),
    )


class PerItemFiles(Dataset):
    """A data set that reads a video and its retrieved videos file by file, on demand."""

    def __init__(self, folder: Path, *, form: str) -> None:
        self.folder, self.found, self.form = folder, dict(np.load(folder / "neighbours.npz")), form
        self.held: dict[tuple[str, int], np.ndarray] = {}
        if form == "memory":
            self.held = {
                (name, video): np.load(folder / name / f"{video}.npy") for name in ROWS for video in range(len(self))
            }

    def __len__(self) -> int:
        return len(self.found["target"])

    def read(self, name: str, video: int) -> np.ndarray:
        if self.form == "memory":
            return self.held[name, video]
        path = self.folder / name / f"{video}.{self.form}"
        return torch.load(path).numpy() if self.form == "pt" else np.load(path)

    def __getitem__(self, video: int) -> tuple[np.ndarray, ...]:
        neighbours = self.found["index"][video].tolist()
        own = [self.read(name, video) for name in ROWS]
        others = [np.stack([self.read(name, other) for other in neighbours]) for name in ROWS]
        return (*own, *others, *(self.found[name][video] for name in ("score", "label")), self.found["target"][video])


class PeerEncoder(nn.Module):
    """Attention in both directions and attentive pooling, as published."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.integrate, self.transform, self.pool = (
            nn.ModuleList(nn.Linear(inputs, WIDTH, bias=False) for _ in ROWS)
            for inputs in (WIDTH, WIDTH, 2 * WIDTH, WIDTH, WIDTH)
        )
        self.context = nn.ParameterList(nn.Parameter(torch.randn(WIDTH) / WIDTH**0.5) for _ in ROWS)

    def forward(self, rows: tuple[Tensor, Tensor]) -> list[Tensor]:
        vectors = []
        for place, (x, y) in enumerate((rows, rows[::-1])):
            query, key = self.query[place](x).tanh(), self.key[place](y).tanh()
            weights = (query @ key.transpose(1, 2) / WIDTH**0.5).softmax(-1)
            attended = torch.cat([0.6 * weights @ y, -0.4 * weights @ y], -1)
            h = self.transform[place]((x + self.integrate[place](attended)).tanh())
            scores = self.pool[place](h).tanh() @ self.context[place]
            vectors.append((scores.softmax(-1).unsqueeze(1) @ h).squeeze(1))
        return vectors


class Peer(nn.Module):
    """MMRA with separate weights for a video and its retrieved videos."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.embed_retrieved = (nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in ROWS) for _ in range(2))
        self.encoder, self.retrieved_encoder = PeerEncoder(), PeerEncoder()
        self.embed_label = nn.Linear(1, WIDTH)
        self.head = nn.Sequential(
            nn.Linear(10 * WIDTH, 800), nn.ReLU(), nn.Linear(800, 200), nn.ReLU(), nn.Linear(200, 1)
        )

    def forward(self, own: list[Tensor], others: list[Tensor], score: Tensor, label: Tensor) -> Tensor:
        weights = score.softmax(-1)
        rows = tuple(layer(x).relu() for layer, x in zip(self.embed, own, strict=True))
        mixed = tuple(
            torch.einsum("bs,bsnd->bnd", weights, layer(x).relu())
            for layer, x in zip(self.embed_retrieved, others, strict=True)
        )
        vectors, retrieved = self.encoder(rows), self.retrieved_encoder(mixed)
        kinds = [*retrieved, self.embed_label(label.mean(1, keepdim=True)).relu()]
        products = [vector * kind for vector in vectors for kind in kinds]
        return self.head(torch.cat([*vectors, *retrieved, *products], -1)).squeeze(-1)


def train_peer(folder: Path, steps: int, *, form: str) -> float:
    """Return the samples per second of the published loop's form."""
    loader = DataLoader(PerItemFiles(folder, form=form), batch_size=BATCH, shuffle=True)
    network = Peer()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-5)
    seconds, begun = [], time.perf_counter()
    for number, (visual, text, their_visual, their_text, score, label, target) in enumerate(loader):
        predicted = network([visual, text], [their_visual, their_text], score, label)
        optimiser.zero_grad()
        functional.mse_loss(predicted, target.float()).backward()
        optimiser.step()
        seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        if number == steps:
            break
    return BATCH / statistics.median(seconds[1:])


def train_ours(folder: Path, steps: int, *, share: bool) -> float:
    """Return the samples per second of `MMRAPredictor` on memory-mapped packs."""
    found = dict(np.load(folder / "neighbours.npz"))
    count = len(found["target"])
    absent = PackedRows(np.zeros((1, 1), np.float32), np.zeros(count, int), np.zeros(count, int), longest=FRAMES)
    packed = {
        name: PackedRows(
            np.load(folder / f"{name}.npy", mmap_mode="r"), np.arange(count) * rows, np.full(count, rows), longest=rows
        )
        for name, rows in ROWS.items()
    }
    features, items = VideoFeatures(**{**dict.fromkeys(MODALITIES, absent), **packed}), np.arange(count).astype(str)
    neighbourhood = Neighbourhood(
        found["index"], found["score"], np.ones(found["index"].shape, bool), found["label"][..., None]
    )
    samples = Samples(items, features, neighbourhood, found["target"][:, None])
    config = MMRAConfig(width=WIDTH, hidden=800, second_hidden=200, interaction="product", share=share, use_audio=False)
    passes = 1 + -(-steps * BATCH // count)
    options = TrainingOptions(learning_rate=1e-4, weight_decay=0.0, batch_size=BATCH, epochs=passes, averaging=0.0)
    report = MMRAPredictor(config, options).fit(samples, None, Bank(items, features))
    return count / statistics.median(epoch.seconds for epoch in report.epochs[1:])


LOOPS: dict[str, Callable[[Path, int], float]] = {
    "ours": lambda folder, steps: train_ours(folder, steps, share=False),
    "ours, shared weights": lambda folder, steps: train_ours(folder, steps, share=True),
    "peer": lambda folder, steps: train_peer(folder, steps, form="pt"),
    "peer, .npy files": lambda folder, steps: train_peer(folder, steps, form="npy"),
    "peer, in memory": lambda folder, steps: train_peer(folder, steps, form="memory"),
}


def measure(name: str, folder: Path, steps: int, threads: int) -> tuple[float, float]:
    """Return samples per second and the peak of resident memory in MB, in a process of its own."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rate = LOOPS[name](folder, steps)
    return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print a table with a row per loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch), arguments.videos)
        found = {}
        for name in LOOPS:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found[name] = pool.apply(measure, (name, Path(scratch), arguments.steps, arguments.threads))
            print(f"{name}: {found[name][0]:.0f} samples/s, peak {found[name][1]:,.0f} MB", flush=True)
    for peer in (name for name in LOOPS if name.startswith("peer")):
        print(f"ours / {peer}: {found['ours'][0] / found[peer][0]:.1f} times the samples/s")


if __name__ == "__main__":
    main()
