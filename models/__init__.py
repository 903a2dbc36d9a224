"""Models in PyTorch and NumPy: media, encoders, the Hawkes process, the predictors and their metrics.

Nothing in this package depends on Dagster or on the layout of the store, so every part can be used separately.
"""

import os

# By default, OpenMP threads spin while they wait. If other work runs on the same cores, one pass of a fit then takes ten times
# as long (docs/architecture.md). OpenMP reads this variable when PyTorch loads it. A value set by the user has priority.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
