"""Which encoder a role has by the settings, and the stages that one encoder fills."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import dagster as dg
import pyarrow as pa
import torch

from assets.encoding.device_workers import encoded_on
from assets.encoding.encode_blocks import EncodedBlock, blocks_of, encoded_blocks
from assets.encoding.encoder_loader import Work
from assets.encoding.expected_time import expected_tokens, warn_of_cpu
from assets.encoding.imported_files import imported
from assets.engine.decoding_workers import worker_count
from assets.engine.run_stage import row_of, run_stage
from assets.engine.shard_statistics import ShardStatistics
from assets.engine.store_access import open_store, outputs
from assets.settings import Settings
from models import encoders
from storage.fingerprint import Fingerprint
from storage.rows import Row

MANY = 400  # videos from which starting processes is repaid by handcrafted encoders
_SHARED = ("text",)  # roles whose encoder serves several stages and stays loaded between them
_loaded: dict[tuple[Any, ...], Any] = {}  # this process's encoders, by role, profile and options


def options(settings: Settings, role: str) -> dict[str, Any]:
    """What `models.encoders.load` is told for a role, but for the device."""
    chosen = settings.encoders
    if chosen.profile == "handcrafted":  # nothing to choose: no weights, no device
        return {}
    told = {
        "allow_download": chosen.allow_download,
        "dtype": chosen.dtype,
        "attention": None if chosen.attention == "auto" else chosen.attention,
        "compile": chosen.compile,
        "batch_size": chosen.batch_size,
    }
    backend = getattr(chosen, f"{role}_backend", "transformers")
    if backend != "transformers":
        told |= {"backend": backend, "environments": chosen.environments}
    if chosen.profile == "paper" and (checkpoint := getattr(chosen, role)) is not None:
        name, revision = _with_revision(checkpoint)
        told |= {"checkpoint": name, "revision": revision or chosen.revision}
    if role == "text" and chosen.text_prompt is not None:
        told["prompt"] = chosen.text_prompt
    if role == "sounds" and chosen.vocabulary is not None:
        told["vocabulary"] = chosen.vocabulary
    return told


def _with_revision(checkpoint: str) -> tuple[str, str | None]:
    """`owner/name@revision` as its two parts; a folder may have such a name."""
    name, sign, revision = checkpoint.partition("@")
    return (name, revision) if sign and not Path(checkpoint).expanduser().exists() else (checkpoint, None)


def device_of(settings: Settings) -> str:
    """Where a model runs that uses one device: the setting, or CUDA where there is one."""
    if settings.encoders.device != "auto":
        return settings.encoders.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def devices_of(settings: Settings) -> list[str]:
    """Where an encoder runs: the device that is named, or every GPU there is, or the CPU."""
    if settings.encoders.profile == "handcrafted":
        return ["cpu"]
    if settings.encoders.device == "auto" and torch.cuda.device_count() > 1:
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [device_of(settings)]


def check_encoders(settings: Settings) -> None:
    """Ask every encoder that is needed who it is, before any work: what is not there is known now, all of it at once.

    Raises:
        models.encoders.EncoderError: naming the checkpoints and backends, and the commands that fetch them.
    """
    stages = {
        "visual": {"visual_embeddings"},
        "acoustic": {"acoustic_embeddings"},
        "text": {"text_embeddings", "retrieval_vectors"},
    }
    replaced = {role for role, filled in stages.items() if filled <= set(imported(settings))}
    absent = []
    for role in get_args(encoders.Role):
        if role not in replaced:
            try:
                encoders.identity(role, settings.encoders.profile, **options(settings, role))
            except encoders.EncoderError as error:
                absent.append(error)
    if len(absent) > 1:
        raise encoders.EncoderError("\n  ".join(["several encoders are not ready:", *map(str, absent)]))
    if absent:
        raise absent[0]


def encoder_fingerprint(settings: Settings, role: str, *, code: int, **parameters: object) -> Fingerprint:
    """Fingerprint of a stage that one encoder fills; the encoder says who it is without loading its weights."""
    identity = encoders.identity(role, settings.encoders.profile, **options(settings, role))
    return Fingerprint(code=code, parameters=parameters, model=identity)


def width(settings: Settings, role: str) -> int:
    """How many numbers a vector of the role's encoder has; known without loading it."""
    return encoders.width(role, settings.encoders.profile, **options(settings, role))


def encode_stage(
    context: dg.AssetExecutionContext,
    settings: Settings,
    *,
    name: str,
    payload: pa.Schema,
    role: str,
    upstream: ModuleType,
    columns: Sequence[str],
    prepare: Callable[[Callable[..., Any], Mapping[str, Any]], tuple[Any, Any]],
    finish: Callable[[Any, Any], Mapping[str, object]],
    **parameters: object,
) -> dg.MaterializeResult:
    """Bring a stage up to date that one encoder fills from one upstream stage.

    Args:
        name, payload: the stage.
        upstream: the module of the asset that is read; an item without a row there has a missing row here.
        columns: what is read of it; the first is what the row is made of.
        prepare, finish: see `assets.encoding.encoder_loader.Work`; importable by name.
        parameters: of the fingerprint, beside the encoder's identity.
    """
    store = open_store(settings)
    source = store.stage(upstream.NAME, upstream.PAYLOAD)
    inputs = outputs(source)
    statistics = ShardStatistics()
    work = Work(
        role=role,
        profile=settings.encoders.profile,
        options=options(settings, role),
        folder=source.folder,
        payload=upstream.PAYLOAD,
        columns=tuple(columns),
        prepare=prepare,
        finish=finish,
    )

    def missing(item: str) -> Row:
        return Row.missing(item, inputs[item], f"no {columns[0]}")

    def compute(todo: Sequence[str]) -> Iterator[Row]:
        states = source.states()
        held = set(states.filter(states["status"] == "ok")["item"])
        yield from (missing(item) for item in todo if item not in held)
        given = [item for item in todo if item in held]
        if not given:
            return
        warn_of_slow_work(context, settings, name, role, len(given) * settings.sampling.frames)
        for outcomes, measures in _encoded(settings, work, given):
            statistics.add(measures["seconds"])
            statistics.peak(measures["peaks"])
            for item, outcome in outcomes:
                yield missing(item) if outcome is None else row_of(item, inputs[item], outcome)

    try:
        return run_stage(
            context,
            store,
            settings.run,
            store.stage(name, payload),
            inputs=inputs,
            fingerprint=encoder_fingerprint(settings, role, code=1, **parameters),
            compute=compute,
            statistics=statistics,
        )
    finally:
        release(role)


def warn_of_slow_work(
    context: dg.AssetExecutionContext,
    settings: Settings,
    name: str,
    role: str,
    inputs: int,
    *,
    texts: Sequence[str] = (),
) -> None:
    """Say how long it will take where the papers' models are to run on a CPU; of texts, some of them tell how long they are."""
    if settings.encoders.profile == "paper" and devices_of(settings) == ["cpu"]:
        length = {"text_tokens": expected_tokens(texts)} if texts else {}
        warn_of_cpu(context.log, name, role, "paper", inputs, **options(settings, role), **length)


def _encoded(settings: Settings, work: Work, todo: Sequence[str]) -> Iterator[EncodedBlock]:
    blocks = blocks_of(todo)
    devices = devices_of(settings)[: len(blocks)]
    workers = loaders(settings, len(todo), on_gpu=devices[0].startswith("cuda"))
    if len(devices) > 1:
        return encoded_on(devices, work, blocks, workers=workers)
    return encoded_blocks(work, blocks, lambda: load(settings, work.role), device=devices[0], workers=workers)


def loaders(settings: Settings, count: int, *, on_gpu: bool) -> int:
    """Processes that prepare `count` videos ahead of the encoder; 0 is none: this process does it."""
    if settings.encoders.loaders is not None:
        return settings.encoders.loaders
    if settings.encoders.profile == "handcrafted":  # all of its work is preparation
        workers = worker_count(settings.run.workers)
        return workers if count >= MANY and workers > 1 else 0
    return (os.cpu_count() or 1) if on_gpu else 0  # on a CPU the model itself takes all cores


def load(settings: Settings, role: str) -> Any:
    """The encoder of a role, loaded once a process, and again where its checkpoint has changed since."""
    profile, chosen = settings.encoders.profile, options(settings, role)
    if profile != "handcrafted":
        chosen["device"] = device_of(settings)
    key = (role, profile, tuple(sorted(chosen.items())))
    kept = _loaded.get(key)
    if kept is None or kept.identity != encoders.identity(role, profile, **chosen):
        _loaded.pop(key, None)
        del kept
        _loaded[key] = encoders.load(role, profile, **chosen)
    return _loaded[key]


def release(role: str) -> None:
    """Let go of a stage's encoder where no other stage needs it: BLIP-2 by itself takes 15 GB in float32."""
    if role in _SHARED:
        return
    for key in [key for key in _loaded if key[0] == role]:
        del _loaded[key]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
