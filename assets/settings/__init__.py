"""What a user may set: every section, its default, its range and what it does.

The schema stands here because the assets are typed by it; where the values come from (a TOML file, environment
variables, the launchpad) is `pipeline.settings`' business. A section is a Dagster config class, so that its fields,
defaults and descriptions are visible in the launchpad and can be changed there for one run.
"""

from assets.settings.automation import Automation
from assets.settings.bank import Bank
from assets.settings.data import Data
from assets.settings.encoders import Encoders
from assets.settings.imports import Imports
from assets.settings.model import Model
from assets.settings.process import Process
from assets.settings.protocol import Protocol
from assets.settings.retrieval import Retrieval
from assets.settings.run import Run
from assets.settings.sampling import Sampling
from assets.settings.settings import Settings, run_mark
from assets.settings.store import Store
from assets.settings.upkeep import Upkeep

__all__ = [
    "Automation",
    "Bank",
    "Data",
    "Encoders",
    "Imports",
    "Model",
    "Process",
    "Protocol",
    "Retrieval",
    "Run",
    "Sampling",
    "Settings",
    "Store",
    "Upkeep",
    "run_mark",
]
