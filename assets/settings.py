"""What a user may set: every section, its default, its range and what it does.

The schema stands here because the assets are typed by it; where the values come from (a TOML file, environment
variables, the launchpad) is `pipeline.settings`' business. A section is a Dagster config class, so that its fields,
defaults and descriptions are visible in the launchpad and can be changed there for one run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

import dagster as dg
from dagster._utils.schedules import is_valid_cron_string
from pydantic import Field, StringConstraints, field_validator, model_validator

from storage.process_lock import present

DEFAULT_HORIZON_HOURS = 7 * 24.0


Folder = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Data(dg.Config):
    """Which data set is read."""

    folder: Folder = Field("data/demo", description="Folder of the data set (MicroLens layout or the plain form).")
    prefix: str | None = Field(None, description="File prefix in the MicroLens layout; found by itself if unset.")


class Store(dg.Config):
    """Where everything computed is kept."""

    path: Folder = Field("store", description="Folder of the store; made if it does not exist.")
    results: Folder = Field("results", description="Folder that receives the tables a person reads.")
    min_free_mb: int = Field(200, ge=0, description="Refuse to start with less free disk than this (MiB).")


class Protocol(dg.Config):
    """What the model may see, what it must forecast, and how items are split (design section 5)."""

    hours: float = Field(24.0, gt=0, description="Observation window: the first hours after publication.")
    first_k: int | None = Field(
        None, ge=1, description="Observe the first k events instead of hours; items with fewer events are left out."
    )
    label_event: str = Field(
        "auto",
        min_length=1,
        description="Type of event that is counted; `all`; or `auto`: comments where there are any.",
    )
    horizon_hours: float | None = Field(
        None,
        gt=0,
        description="Count up to here. Unset: 168 (seven days) with a window in hours, the end of the data with first_k.",
    )
    target: Literal["log2p1", "log2", "raw"] = Field("log2p1", description="Scale the model is trained on.")
    split: Literal["paper", "chronological"] = Field(
        "paper", description="`paper`: seeded random 80/10/10; `chronological`: by time of publication."
    )
    split_file: str | None = Field(None, description="A published split (item,split) to use instead of a drawn one.")
    fractions: list[float] = Field([0.8, 0.1, 0.1], description="Shares of train, validation and test.")
    split_seed: int = Field(0, ge=0, description="Seed of the random split.")
    duplicate_bits: float = Field(
        10.0, ge=0, le=32, description="Videos whose frames differ by at most this many of 64 hash bits are duplicates."
    )

    @field_validator("fractions")
    @classmethod
    def _shares(cls, fractions: list[float]) -> list[float]:
        if len(fractions) != 3 or min(fractions) <= 0 or not math.isclose(sum(fractions), 1.0, abs_tol=1e-6):
            raise ValueError(
                f"three positive shares that add up to 1 are allowed, for example [0.8, 0.1, 0.1]; got {fractions}"
            )
        return fractions

    @model_validator(mode="after")
    def _window_before_label(self) -> Self:
        if self.first_k is None and self.horizon is not None and self.horizon <= self.hours:
            raise ValueError(
                f"horizon_hours ({self.horizon:g}) must be longer than the observation window hours ({self.hours:g}): "
                "otherwise the label is observed"
            )
        if self.split == "chronological" and self.horizon is None:
            raise ValueError(
                "split = 'chronological' needs horizon_hours: with the label counted to the end of the data no neighbour's "
                "label is known before a query is published"
            )
        if self.split == "chronological" and self.split_file:
            raise ValueError("split_file goes with split = 'paper'; with 'chronological' leave it unset")
        return self

    @property
    def horizon(self) -> float | None:
        """Label horizon in hours; None is the end of the data."""
        if self.horizon_hours is not None:
            return self.horizon_hours
        return DEFAULT_HORIZON_HOURS if self.first_k is None else None


class Sampling(dg.Config):
    """How frames and sound are taken from a file (M3TR appendix E)."""

    frames: int = Field(10, ge=1, le=128, description="K: frames and audio segments a video.")
    method: Literal["even", "stride"] = Field(
        "even", description="`even` (M3TR), or every `stride`-th frame (MMRA), at most K."
    )
    stride: int | None = Field(
        None, ge=1, description="Frames from one sampled frame to the next with method = stride."
    )
    max_side: int = Field(
        512, ge=16, description="Longer side of a kept frame, in pixels; smaller videos stay as they are."
    )
    jpeg_quality: int = Field(92, ge=50, le=100, description="Quality of the kept frames.")
    segment_seconds: float = Field(1.0, gt=0, le=30, description="Length of an audio segment.")
    audio_rate: int | None = Field(
        None, ge=8000, le=96000, description="Sampling rate kept, Hz. Unset: 16000 handcrafted, 48000 otherwise (CLAP)."
    )
    timeout_seconds: float = Field(60.0, gt=0, description="A file that takes longer to decode is a failed row.")

    @model_validator(mode="after")
    def _stride_given(self) -> Self:
        if (self.method == "stride") != (self.stride is not None):
            raise ValueError("method = 'stride' and a stride in frames go together; with 'even' leave stride unset")
        return self


class Encoders(dg.Config):
    """Which encoders embed and caption (design section 6)."""

    profile: Literal["handcrafted", "tiny", "paper"] = Field("handcrafted", description="Set of encoders.")
    visual: str | None = Field(
        None, description="Checkpoint instead of the profile's ViT: a folder, a hub name, or one with `@revision`."
    )
    acoustic: str | None = Field(None, description="Checkpoint instead of the profile's AST.")
    text: str | None = Field(None, description="Checkpoint instead of the profile's AnglE.")
    captions: str | None = Field(None, description="Checkpoint instead of the profile's BLIP-2.")
    sounds: str | None = Field(None, description="Checkpoint instead of the profile's CLAP.")
    revision: str | None = Field(
        None, description="Hub revision of the checkpoints named above that have none of their own."
    )
    text_prompt: str | None = Field(
        None, description="Put around texts for the retrieval vectors, at its `{text}`; UAE's is in docs/encoders.md."
    )
    vocabulary: str | None = Field(
        None, description="File of descriptions of sound, one a line, instead of AudioSet's classes."
    )
    text_backend: Literal["transformers", "angle-emb"] = Field(
        "transformers", description="Library that runs AnglE; `angle-emb` is the extra `angle`."
    )
    captions_backend: Literal["transformers", "lavis"] = Field(
        "transformers", description="Library that runs BLIP-2; for `lavis`: reelcast environment lavis."
    )
    sounds_backend: Literal["transformers", "laion-clap"] = Field(
        "transformers", description="Library that runs CLAP; for `laion-clap`: reelcast environment laion-clap."
    )
    environments: Folder = Field(
        ".environments", description="Folder of the environments that `reelcast environment` makes."
    )
    device: str = Field("auto", description="`auto` (every GPU there is, else the CPU), `cpu`, `cuda` or `cuda:N`.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Number format of weights and activations; bfloat16 for a GPU. It changes the output."
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        "auto", description="Attention kernel. `auto` is the library's choice."
    )
    compile: bool = Field(
        False, description="Make kernels with torch.compile: minutes at start, for long runs on a GPU."
    )
    batch_size: int | None = Field(
        None, ge=1, description="Inputs at once. Unset: the fastest, found at start on a GPU; a fixed number on a CPU."
    )
    loaders: int | None = Field(
        None,
        ge=0,
        description="Processes that decode and prepare ahead of the encoder, 0 for none. Unset: one a core for a GPU; "
        "for `handcrafted` run.workers from 400 videos on.",
    )
    repeated_frame_bits: int | None = Field(
        None,
        ge=0,
        le=32,
        description="Frames of a video whose hashes differ by at most this many of 64 bits share a caption. Unset: none.",
    )
    allow_download: bool = Field(False, description="Fetch a missing checkpoint from the hub.")

    @field_validator("text_prompt")
    @classmethod
    def _place_for_the_text(cls, prompt: str | None) -> str | None:
        if prompt is not None and "{text}" not in prompt:
            raise ValueError(f"it must hold {{text}}, where the text goes; got {prompt!r}")
        return prompt

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if device not in ("auto", "cpu", "cuda") and not (device.startswith("cuda:") and device[5:].isdigit()):
            raise ValueError(f"auto, cpu, cuda and cuda:N are allowed; got {device!r}")
        return device

    @model_validator(mode="after")
    def _checkpoints_of_paper(self) -> Self:
        named = [
            role for role in ("visual", "acoustic", "text", "captions", "sounds") if getattr(self, role) is not None
        ]
        if named and self.profile != "paper":
            raise ValueError(f"{', '.join(named)}: a checkpoint goes with profile = 'paper', not {self.profile!r}")
        chosen = [
            f"{role}_backend"
            for role in ("text", "captions", "sounds")
            if getattr(self, f"{role}_backend") != "transformers"
        ]
        if chosen and self.profile == "handcrafted":
            raise ValueError(f"{', '.join(chosen)}: a backend goes with profile = 'paper' or 'tiny', not 'handcrafted'")
        chosen = [name for name in ("text_prompt", "vocabulary") if getattr(self, name) is not None]
        if chosen and self.profile == "handcrafted":
            raise ValueError(f"{', '.join(chosen)}: this goes with profile = 'paper' or 'tiny', not 'handcrafted'")
        if self.revision is not None and not named:
            raise ValueError(
                "revision goes with a checkpoint that is named: visual, acoustic, text, captions or sounds"
            )
        return self


class Imports(dg.Config):
    """Features computed elsewhere that stand in for an embedding stage: a .npy, a .parquet or a folder (docs/imports.md)."""

    visual_embeddings: str | None = Field(None, description="Vectors of frames, or one of the whole video.")
    acoustic_embeddings: str | None = Field(None, description="Vectors of sound segments, or one of the whole video.")
    text_embeddings: str | None = Field(None, description="Vectors of the title's words, or one of the whole title.")
    retrieval_vectors: str | None = Field(None, description="One vector a video, for content similarity.")
    missing: Literal["error", "missing"] = Field(
        "error", description="Items that a file lacks: refuse the file, or go on without their features."
    )


class Process(dg.Config):
    """The Mamba-Hawkes process (M3TR section 3.2)."""

    intensity: Literal["m3tr", "mufm"] = Field("m3tr", description="M3TR eq. 1 or MUFM eq. 13.")
    hidden: int = Field(32, ge=1, description="Channels of an event's embedding.")
    state: int = Field(8, ge=1, description="States a channel.")
    layers: int = Field(1, ge=1, description="Stacked selective scans.")
    input_rule: Literal["zoh", "impulse"] = Field(
        "impulse", description="How an event enters the state (design section 5)."
    )
    decays: int = Field(1, ge=1, le=16, description="Exponentials a pair of types in the classical part (m3tr).")
    penalty: Literal["none", "mcp", "scad"] = Field(
        "none", description="Sparsity of the influence matrix (theorem 3.1)."
    )
    penalty_strength: float = Field(0.05, gt=0, description="Gamma of the penalty.")
    learning_rate: float = Field(5e-3, gt=0, description="Adam's step.")
    batch_size: int = Field(64, ge=1, description="Sequences a step.")
    max_epochs: int = Field(30, ge=1, description="At most so many passes; stops early on the validation split.")
    patience: int = Field(5, ge=1, description="Passes without a better validation likelihood before it stops.")
    length: int = Field(
        64, ge=2, description="L: rows of a temporal embedding; shorter sequences are continued by thinning."
    )
    max_events: int = Field(
        512, ge=8, description="Events of a window that are used; later ones of a longer window are not."
    )
    seed: int = Field(0, ge=0, description="Seed of the fit and of the thinning.")
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Fit again once this share of the items it was fitted on is new, gone or changed; 0: at any change.",
    )


class Retrieval(dg.Config):
    """The memory bank and its neighbours (M3TR section 3.3)."""

    neighbours: int = Field(10, ge=1, le=200, description="S: retrieved videos (10 in M3TR, 20 in MUFM).")
    temporal_key: Literal["cosine", "dot"] = Field(
        "cosine",
        description="Mean-pooled temporal rows at unit length, as content vectors are, or as M3TR prints them.",
    )


class Bank(dg.Config):
    """Versions of the memory bank: its index, the checks that a new one must pass, and how many are kept (docs/bank.md)."""

    index: str = Field(
        "auto",
        min_length=1,
        description="`auto`: exact up to 200,000 videos, then inverted lists of codes; `flat`: exact; or a FAISS factory "
        "string for the content vectors, such as `IVF1024,PQ64`.",
    )
    recall: float = Field(0.95, ge=0, le=1, description="Least recall of an approximate index against exact search.")
    latency_ms: float = Field(500.0, gt=0, description="Greatest search time of a single query (95th percentile).")
    drift: float = Field(
        0.05, gt=0, le=1, description="Greatest energy coefficient between the vectors of a version and the one before."
    )
    failed_share: float = Field(
        0.25, ge=0, le=1, description="Greatest share of training videos that a stage failed on."
    )
    sample: int = Field(256, ge=1, description="Members asked as queries by the checks of recall and latency.")
    keep: int = Field(3, ge=1, description="Versions kept: the newest, and those that were in service last.")


class Model(dg.Config):
    """The predictor and its training (M3TR section 3.4, appendices F and L)."""

    dim: int = Field(64, ge=4, description="d: width of the aligned features.")
    alpha: float = Field(0.8, ge=0, le=1, description="Balance of positive and negative attention.")
    aggregate: Literal["attention", "concat"] = Field(
        "attention", description="Neighbours weighted by similarity (MMRA eq. 4) or all concatenated (M3TR eq. 5)."
    )
    learning_rate: float = Field(1e-3, gt=0, description="1e-5 and 1e-4 in the paper, for 20,000 videos.")
    batch_size: int = Field(64, ge=1, description="Videos a step.")
    weight_decay: float = Field(1e-3, ge=0, description="Weight decay.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout.")
    gamma: float = Field(0.1, ge=0, description="Weight of the process's likelihood in the joint loss.")
    max_epochs: int = Field(60, ge=1, description="At most so many passes.")
    patience: int = Field(10, ge=1, description="Passes without a better validation nMSE before it stops.")
    seeds: list[int] = Field([0, 1, 2], description="One model a seed; metrics are reported with intervals over them.")
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Train again once this share of the items it was fitted on is new, gone or changed; 0: at any change.",
    )
    use_retrieval: bool = Field(True, description="Ablation: without neighbours.")
    use_labels: bool = Field(True, description="Ablation: without the neighbours' labels.")
    use_temporal: bool = Field(True, description="Ablation: without the temporal branch.")
    use_visual: bool = Field(True, description="Ablation: without frames.")
    use_audio: bool = Field(True, description="Ablation: without sound.")
    use_text: bool = Field(True, description="Ablation: without the title.")
    use_positive: bool = Field(True, description="Ablation: without positive attention.")
    use_negative: bool = Field(True, description="Ablation: without negative attention.")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError(f"one or more different seeds from 0 are allowed; got {seeds}")
        return seeds


class Run(dg.Config):
    """How the work is carried out. Nothing here changes a result."""

    workers: int = Field(0, ge=0, description="Processes that decode; 0 is one a core.")
    shard_size: int = Field(200, ge=1, description="Videos a part file; a killed run loses at most this much.")
    failure_limit: float = Field(
        0.25,
        ge=0,
        le=1,
        description="A stage with a larger share of failed rows stops the run, and so do more videos whose files have gone.",
    )
    retry_failed: bool = Field(False, description="Compute rows again that failed before.")
    executor: Literal["in_process", "multiprocess"] = Field(
        "in_process",
        description="Steps of a run in one process, or one process a step. Read at start, not in the launchpad.",
    )


class Automation(dg.Config):
    """When runs start by themselves. Read at start, not in the launchpad; each is switched on in the UI or the shell."""

    nightly: str = Field("0 3 * * *", description="Cron of the nightly rebuild of the memory bank.")
    upkeep: str = Field("30 5 * * *", description="Cron of the store's upkeep.")
    timezone: str = Field("UTC", description="Time zone of both, as in `Europe/Berlin`.")
    sensor_seconds: int = Field(60, ge=10, description="Seconds between two looks at the data folder.")

    @field_validator("nightly", "upkeep")
    @classmethod
    def _cron(cls, cron: str) -> str:
        if not is_valid_cron_string(cron):
            raise ValueError(f"five cron fields are allowed, for example '0 3 * * *'; got {cron!r}")
        return cron

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"a name of the time zone database is allowed, for example 'Europe/Berlin'; got {zone!r}")
        return zone


class Upkeep(dg.Config):
    """What the upkeep keeps of the store's past."""

    keep_versions: int = Field(
        3, ge=1, description="Versions kept of each table and fitted model (of the memory bank: `bank.keep`)."
    )
    retention_hours: float = Field(
        24.0, gt=0, description="Files of merged parts stay this long, for those who had opened them."
    )
    most_parts: int = Field(64, ge=2, description="A stage with more part files is merged.")


class Settings(dg.ConfigurableResource):
    """Every setting, by section. Validated when it is made; a wrong one is refused with what is allowed."""

    data: Data = Data()
    store: Store = Store()
    protocol: Protocol = Protocol()
    sampling: Sampling = Sampling()
    encoders: Encoders = Encoders()
    imports: Imports = Imports()
    process: Process = Process()
    retrieval: Retrieval = Retrieval()
    bank: Bank = Bank()
    model: Model = Model()
    run: Run = Run()
    automation: Automation = Automation()
    upkeep: Upkeep = Upkeep()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """A run's processes hold a mark of its name while they work, so that others can tell that it still goes on."""
        if context.run is None or context.instance is None:
            yield self
            return
        with present(run_mark(context.instance, context.run.run_id)):
            yield self

    def audio_rate(self) -> int:
        """Sampling rate kept in the store, Hz."""
        if self.sampling.audio_rate is not None:
            return self.sampling.audio_rate
        return 16_000 if self.encoders.profile == "handcrafted" else 48_000

    def store_folder(self) -> Path:
        """Absolute folder of the store."""
        return Path(self.store.path).expanduser().resolve()


def run_mark(instance: dg.DagsterInstance, run_id: str) -> Path:
    """What the processes of a run hold while they work."""
    return Path(instance.root_directory) / "running" / run_id
