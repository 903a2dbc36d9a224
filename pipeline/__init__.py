"""What Dagster loads: definitions, jobs, schedules, sensors, settings and the command line."""

from reelcast_packages import refuse_hidden

refuse_hidden("assets", "models", "storage")

import models  # noqa: E402, F401  first, since it says how PyTorch's threads wait, which counts before PyTorch is loaded
