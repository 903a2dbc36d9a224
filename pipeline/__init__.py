"""What Dagster loads: definitions, jobs, schedules, sensors, settings and the command line."""

from reelcast_packages import refuse_hidden

refuse_hidden("assets", "models", "storage")
