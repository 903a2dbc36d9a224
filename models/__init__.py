"""Pure PyTorch and NumPy: media, encoders, the Hawkes process, the predictors and their metrics.

Nothing here knows Dagster or the layout of the store, so every part can be imported and used by itself.
"""

import os

# Threads that wait for work spin by default. Beside other work on the same cores a pass of a fit then takes ten times as long
# (docs/architecture.md). OpenMP reads this when PyTorch loads it; a value of the user's own wins.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
