"""The asset graph, one folder per Dagster group and one file per stage.

A stage stays thin: it reads the store, calls `models` or `storage`, writes its rows and returns metadata.
"""

from reelcast_packages import refuse_hidden

refuse_hidden("models", "storage")
