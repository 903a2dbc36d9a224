"""Concurrency pools of the steps, as keyword arguments of `@dg.asset`.

A pool limits how many runs at once have steps in it (pipeline/dagster.yaml: one). The tag does the same inside one run that
gives each step a process of its own.
"""

MODEL_TAG = "reelcast/model"

ON_THE_DEVICE = {"pool": "gpu", "op_tags": {MODEL_TAG: "yes"}}  # loads an encoder or fits something: one to a device
IN_THE_CATALOG = {"pool": "catalog"}  # replaces a whole table or the bank, and publishes the catalog
