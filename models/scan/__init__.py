"""The selective state-space scan over irregular gaps (MUFM eq. 9, 10, 42, 43; M3TR appendix B).

    z_i = exp(D_i A) z_{i-1} + w_i B_i x_i          y_i = C_i z_i          z_{-1} = 0

elementwise in the d channels and n states (A is diagonal). D_i is the gap before event i. The weight w_i of the input
depends on the discretization:

    zoh      A^-1 (exp(D_i A) - I), the papers' zero-order hold: an event acts for the whole gap before it
    euler    D_i, as in mamba-ssm's fused kernel
    impulse  1: an event has its full effect at its time, however short the gap before it

Example:
    One sequence of 3 events with 1 channel and 1 state, which halves per unit of time.

    >>> import math, torch
    >>> x, ones = torch.ones(1, 3, 1), torch.ones(1, 3, 1)
    >>> gaps, A = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[-math.log(2.0)]])
    >>> y = selective_scan(x, gaps, A, ones, ones, discretization="impulse")
    >>> [round(value, 4) for value in y.flatten().tolist()]
    [1.0, 1.5, 1.375]
"""

from models.scan.recurrence import linear_recurrence
from models.scan.selective import BACKENDS, DISCRETIZATIONS, scan_step, scan_with_state, selective_scan

__all__ = ["BACKENDS", "DISCRETIZATIONS", "linear_recurrence", "scan_step", "scan_with_state", "selective_scan"]
