"""What Dagster loads: definitions, jobs, schedules, sensors, settings and the command line."""
