"""What a new version of the memory bank must pass before it comes into service (M3TR appendix H.3)."""

from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
import polars as pl

from assets.memory.feature_join import failed_items, usable_items
from assets.protocol.splits import read_splits
from assets.settings import Settings
from storage.artifact_version import ArtifactVersion
from storage.bank import MemoryBank, drifts
from storage.store import Store

MIXED = " + "  # between the fingerprints of a stage whose rows are of several
CHECKS = {
    "recall": "Neighbours found by the index, of those that exact search finds, are at least bank.recall.",
    "latency": "The 95th percentile of a single query's search time is at most bank.latency_ms.",
    "content_drift": "The content vectors' distribution is within bank.drift of the version in service before.",
    "temporal_drift": "The temporal vectors' distribution is within bank.drift of the version in service before.",
    "failed_rows": "A stage failed on at most bank.failed_share of the training videos.",
    "one_version": "All vectors of a stage were made by one version of it.",
}


@dataclass(frozen=True)
class Verdict:
    """One check's: what was measured, the limit it must keep, and what a person should know of it."""

    check: str
    passed: bool
    value: float | None
    limit: float | None
    told: str

    def result(self) -> dg.AssetCheckResult:
        """The same for Dagster: an error, but none that stops the run, which goes on with the version in service."""
        shown: dict[str, Any] = {"told": self.told}
        shown |= {name: value for name in ("value", "limit") if (value := getattr(self, name)) is not None}
        return dg.AssetCheckResult(check_name=self.check, passed=self.passed, metadata=shown)


def judge(
    store: Store, settings: Settings, built: ArtifactVersion, before: ArtifactVersion | None
) -> tuple[list[Verdict], dict[str, Any]]:
    """Every check on a version, and what was measured; `before` is the version it would take the place of."""
    bank, limits = MemoryBank(built), settings.bank
    quality = bank.quality(size=settings.retrieval.neighbours, queries=limits.sample)
    told = (
        f"{quality.queries} members as queries, index {bank.index}, {quality.queries_per_second:,.0f} queries a second"
    )
    verdicts = [
        Verdict("recall", quality.recall >= limits.recall, quality.recall, limits.recall, told),
        Verdict("latency", quality.latency_ms <= limits.latency_ms, quality.latency_ms, limits.latency_ms, told),
        *_drift(bank, before, limits.drift),
        _failed_rows(store, limits.failed_share),
        _one_version(built, before),
    ]
    measured = {**asdict(quality), "index": bank.index, "compared_with": None if before is None else before.version}
    return verdicts, measured


def _drift(bank: MemoryBank, before: ArtifactVersion | None, limit: float) -> list[Verdict]:
    names = ("content_drift", "temporal_drift")
    if before is None:
        return [
            Verdict(name, True, None, limit, "the first version: there is nothing to compare it with") for name in names
        ]
    verdicts = []
    for name, found in zip(names, drifts(MemoryBank(before), bank), strict=True):
        if found is None:
            verdicts.append(Verdict(name, True, None, limit, "fewer than two vectors to compare"))
            continue
        similar = f"similarities among members differ by {found.similarities:.3f} (Kolmogorov-Smirnov)"
        if found.energy is None:
            told = f"version {before.version} was made by another encoder or process: not comparable; {similar}"
            verdicts.append(Verdict(name, True, None, limit, told))
        else:
            told = (
                f"against version {before.version}; the mean moved by {found.mean_shift:.3f} of the spread; {similar}"
            )
            verdicts.append(Verdict(name, found.energy <= limit, found.energy, limit, told))
    return verdicts


def _failed_rows(store: Store, limit: float) -> Verdict:
    wanted, failed = read_splits(store).filter(pl.col("split") == "train"), sorted(failed_items(store))
    count = len(wanted.filter(pl.col("item").is_in(failed)))
    left_out = len(wanted) - len(usable_items(store).filter(pl.col("split") == "train"))
    told = (
        f"a stage failed on {count} of {len(wanted)} training videos: {left_out} are left out, {count - left_out} have no "
        "temporal vector"
    )
    share = count / max(len(wanted), 1)
    return Verdict("failed_rows", share <= limit, share, limit, told)


def _one_version(built: ArtifactVersion, before: ArtifactVersion | None) -> Verdict:
    made = built.metadata["versions"]
    mixed = [name for name, version in made.items() if MIXED in version]
    if mixed:
        told = f"rows of several versions in {', '.join(mixed)}; materialise them to the end"
        return Verdict("one_version", False, None, None, told)
    changed = []
    if before is not None:
        changed = [name for name in sorted(made) if before.metadata["versions"].get(name) != made[name]]
    told = f"changed since version {before.version}: {', '.join(changed)}" if changed else "as before"
    return Verdict("one_version", True, None, None, told if before is not None else "the first version")
