"""Checks that a new version of the memory bank must pass before it goes into service (M3TR, appendix H.3)."""

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

MIXED = " + "  # joins the fingerprints of a stage whose rows have several
CHECKS = {
    "recall": "The index finds at least the share bank.recall of the neighbours that exact search finds.",
    "latency": "The 95th percentile of a single query's search time is at most bank.latency_ms.",
    "content_drift": "The distribution of content vectors differs by at most bank.drift from the version in service before.",
    "temporal_drift": "The distribution of temporal vectors differs by at most bank.drift from the version in service before.",
    "failed_rows": "At most the share bank.failed_share of the training videos has a failed row in any stage.",
    "one_version": "All rows of each feature stage were computed by one version of that stage.",
}


@dataclass(frozen=True)
class Verdict:
    """Result of one check.

    Attributes:
        check: Name of the check, one of `CHECKS`.
        passed: Whether the version passes.
        value: Measured value, if the check measures one.
        limit: Limit of the value, if it has one.
        told: Explanation for a person.
    """

    check: str
    passed: bool
    value: float | None
    limit: float | None
    told: str

    def result(self) -> dg.AssetCheckResult:
        """Return the Dagster result. A failed check is an error but does not stop the run."""
        shown: dict[str, Any] = {"told": self.told}
        shown |= {name: value for name in ("value", "limit") if (value := getattr(self, name)) is not None}
        return dg.AssetCheckResult(check_name=self.check, passed=self.passed, metadata=shown)


def judge(
    store: Store, settings: Settings, built: ArtifactVersion, before: ArtifactVersion | None
) -> tuple[list[Verdict], dict[str, Any]]:
    """Run every check on a new version.

    Args:
        store: The store.
        settings: Sections `[bank]` and `[retrieval]` are used.
        built: The new version.
        before: The version in service, which it would replace, or None.

    Returns:
        The verdicts, and the measurements for the version's metadata.
    """
    bank, limits = MemoryBank(built, device=settings.bank.device), settings.bank
    quality = bank.quality(size=settings.retrieval.neighbours, queries=limits.sample)
    told = f"{quality.queries} members as queries, index {bank.index}, {quality.queries_per_second:,.0f} queries per second"
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
            Verdict(name, True, None, limit, "this is the first version; there is none to compare it with")
            for name in names
        ]
    verdicts = []
    for name, drift in zip(names, drifts(MemoryBank(before), bank), strict=True):
        if drift is None:
            verdicts.append(Verdict(name, True, None, limit, "fewer than two vectors to compare"))
            continue
        similar = f"similarities among members differ by {drift.similarities:.3f} (Kolmogorov-Smirnov)"
        if drift.energy is None:
            told = f"version {before.version} was made by another encoder or process: vectors not comparable; {similar}"
            verdicts.append(Verdict(name, True, None, limit, told))
        else:
            told = (
                f"against version {before.version}; the mean moved by {drift.mean_shift:.3f} of the spread; {similar}"
            )
            verdicts.append(Verdict(name, drift.energy <= limit, drift.energy, limit, told))
    return verdicts


def _failed_rows(store: Store, limit: float) -> Verdict:
    training, failed = read_splits(store).filter(pl.col("split") == "train"), sorted(failed_items(store))
    count = len(training.filter(pl.col("item").is_in(failed)))
    left_out = len(training) - len(usable_items(store).filter(pl.col("split") == "train"))
    told = (
        f"a stage failed on {count} of {len(training)} training videos: {left_out} are left out, {count - left_out} have no "
        "temporal vector"
    )
    share = count / max(len(training), 1)
    return Verdict("failed_rows", share <= limit, share, limit, told)


def _one_version(built: ArtifactVersion, before: ArtifactVersion | None) -> Verdict:
    stages = built.metadata["versions"]
    mixed = [name for name, version in stages.items() if MIXED in version]
    if mixed:
        told = f"rows of several versions in {', '.join(mixed)}; materialise them completely"
        return Verdict("one_version", False, None, None, told)
    changed = []
    if before is not None:
        changed = [name for name in sorted(stages) if before.metadata["versions"].get(name) != stages[name]]
    told = f"changed since version {before.version}: {', '.join(changed)}" if changed else "as before"
    return Verdict("one_version", True, None, None, told if before is not None else "the first version")
