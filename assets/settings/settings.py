"""All sections joined into the resource that every asset receives."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import dagster as dg

from assets.settings.audience import Audience
from assets.settings.audit import Audit
from assets.settings.automation import Automation
from assets.settings.bank import Bank
from assets.settings.curves import CurveSettings
from assets.settings.dagster import Dagster
from assets.settings.dagster_home import refuse_other_instance
from assets.settings.data import Data
from assets.settings.encoders import Encoders
from assets.settings.imports import Imports
from assets.settings.kubernetes import Kubernetes
from assets.settings.metadata import Metadata
from assets.settings.model import Model
from assets.settings.monitoring import Monitoring
from assets.settings.process import Process
from assets.settings.protocol import Protocol
from assets.settings.ray import Ray
from assets.settings.retrieval import Retrieval
from assets.settings.run import Run
from assets.settings.sampling import Sampling
from assets.settings.store import Store
from assets.settings.upkeep import Upkeep
from models import encoders
from storage.data_set_mark import default_store
from storage.process_lock import present
from storage.remote.connection import connect, is_url

HOST_TAG = "reelcast/host"  # of a run whose instance several machines use


class Settings(dg.ConfigurableResource):
    """All settings, one attribute per section.

    Values are validated on construction; the error for an invalid value names the allowed ones.
    """

    data: Data = Data()
    store: Store = Store()
    protocol: Protocol = Protocol()
    sampling: Sampling = Sampling()
    encoders: Encoders = Encoders()
    imports: Imports = Imports()
    metadata: Metadata = Metadata()
    process: Process = Process()
    retrieval: Retrieval = Retrieval()
    bank: Bank = Bank()
    audience: Audience = Audience()
    model: Model = Model()
    curves: CurveSettings = CurveSettings()
    monitoring: Monitoring = Monitoring()
    run: Run = Run()
    ray: Ray = Ray()
    kubernetes: Kubernetes = Kubernetes()
    dagster: Dagster = Dagster()
    automation: Automation = Automation()
    upkeep: Upkeep = Upkeep()
    audit: Audit = Audit()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Hold a lock file named after the run while one of its processes works, so that others see that it is running.

        Args:
            context: Dagster's context. Without a run or an instance, nothing is held.

        Raises:
            OtherInstance: The instance belongs to another data set.
        """
        if context.run is None or context.instance is None:
            yield self
            return
        refuse_other_instance(Path(context.instance.root_directory), self.store_folder())
        if self.dagster.storage == "postgres":
            context.instance.add_run_tags(context.run.run_id, {HOST_TAG: socket.gethostname()})
        with present(run_mark(context.instance, context.run.run_id)):
            yield self

    @property
    def similarity(self) -> str:
        """Similarity of neighbours: `retrieval.similarity`, or "content" for a model without the temporal branch."""
        return self.retrieval.similarity if self.model.use_temporal else "content"

    @property
    def shards_on_ray(self) -> bool:
        """Whether the shards of per-video stages are tasks of a Ray cluster."""
        return self.run.executor == "ray"

    def audio_rate(self) -> int:
        """Return the sampling rate of the kept sound in Hz: by default 48,000 for pretrained sound encoders, else 16,000.

        Example:
            >>> Settings().audio_rate()
            16000
        """
        if self.sampling.audio_rate is not None:
            return self.sampling.audio_rate
        pretrained = any(self.encoders.profile_of(role) in encoders.PRETRAINED for role in ("acoustic", "sounds"))
        return 48_000 if pretrained else 16_000

    def data_folder(self) -> Path:
        """Return the absolute folder of the data set."""
        return Path(self.data.folder).expanduser().absolute()

    def store_folder(self) -> Path:
        """Return the absolute folder of the store: `store.path` if set, else `store/NAME` for the data set.

        Of a store in a bucket this is the local folder, which is connected with the bucket first.

        Raises:
            storage.durable.StoreError: The bucket does not answer, or its server cannot hold a store.
        """
        if self.store.path is None:
            return default_store(self.data_folder().resolve(), under=Path("store").resolve())
        if is_url(self.store.path):
            cache = None if self.store.cache is None else Path(self.store.cache).expanduser().resolve()
            return connect(self.store.path, cache=cache, options=self.store.options)
        return Path(self.store.path).expanduser().resolve()

    def results_folder(self) -> Path:
        """Return the absolute folder of the results: `store.results`, or the default that depends on `store.path`."""
        if self.store.results is not None:
            return Path(self.store.results).expanduser().resolve()
        store = self.store_folder()
        beside = self.store.path is None or is_url(self.store.path)
        return Path("results").resolve() / store.name if beside else store / "results"

    def report_file(self) -> Path:
        """Return the absolute path of the report's page."""
        return self.results_folder() / "report.html"


def run_mark(instance: dg.DagsterInstance, run_id: str) -> Path:
    """Return the lock file that a run's processes hold while they work."""
    return Path(instance.root_directory) / "running" / run_id
