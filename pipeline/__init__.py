"""The entry points: Dagster's definitions, jobs, schedules and sensors, the settings' sources, the command line."""

from reelcast_packages import refuse_hidden

refuse_hidden("assets", "models", "storage")

# `models` sets how PyTorch's idle threads wait, which only takes effect before PyTorch is loaded.
import models  # noqa: E402, F401
