"""The definitions that Dagster loads: every asset and check in the package `assets`, the jobs, the settings."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

import assets
from assets.settings.dagster_home import refuse_other_instance
from pipeline.asset_policy import with_policy
from pipeline.automation import automation, jobs
from pipeline.executors import executor_of
from pipeline.launchpad import settings_resource
from pipeline.run_lines import NAME as STAGE_LINES
from pipeline.run_lines import stage_lines
from pipeline.settings import load, sections

settings = load()
if home := os.environ.get("DAGSTER_HOME"):
    refuse_other_instance(Path(home), settings.store_folder())
schedules, sensors = automation(settings)

ASSETS = with_policy(dg.load_assets_from_package_module(assets), settings)
ASSET_CHECKS = dg.load_asset_checks_from_package_module(assets)

defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=ASSET_CHECKS,
    jobs=jobs(settings),
    schedules=schedules,
    sensors=sensors,
    resources={"settings": settings_resource(settings, sections().keys() - {"upkeep"})},
    loggers={STAGE_LINES: stage_lines},
    executor=executor_of(settings),
)
