"""Concurrency pools of the steps, as keyword arguments of `@dg.asset`.

A pool limits how many runs may execute its steps at the same time (pipeline/dagster.yaml: one). The tag sets the same limit
within one run whose steps have processes of their own.
"""

MODEL_TAG = "reelcast/model"

ON_THE_DEVICE = {"pool": "gpu", "op_tags": {MODEL_TAG: "yes"}}  # loads an encoder or fits a model: one per device
IN_THE_CATALOG = {"pool": "catalog"}  # replaces a table or the bank, and publishes the catalog
