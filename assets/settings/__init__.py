"""The schema of the settings: each section's fields, defaults, ranges and descriptions.

The assets' signatures use this schema. `pipeline.settings` reads the values from a TOML file, environment variables or
the launchpad. Each section is a Dagster config class, so the launchpad shows its fields, defaults and descriptions, and a
user can change them there for one run.
"""

from assets.settings.audience import Audience
from assets.settings.audit import Audit
from assets.settings.automation import Automation
from assets.settings.bank import Bank
from assets.settings.curves import CurveSettings
from assets.settings.dagster import Dagster
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
from assets.settings.settings import HOST_TAG, Settings, run_mark
from assets.settings.store import Store
from assets.settings.upkeep import Upkeep

__all__ = [
    "HOST_TAG",
    "Audience",
    "Audit",
    "Automation",
    "Bank",
    "CurveSettings",
    "Dagster",
    "Data",
    "Encoders",
    "Imports",
    "Kubernetes",
    "Metadata",
    "Model",
    "Monitoring",
    "Process",
    "Protocol",
    "Ray",
    "Retrieval",
    "Run",
    "Sampling",
    "Settings",
    "Store",
    "Upkeep",
    "run_mark",
]
