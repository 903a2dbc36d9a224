"""The selective state-space scan over irregular gaps (MUFM eq. 9, 10, 42, 43; M3TR appendix B).

    z_i = exp(D_i A) z_{i-1} + w_i B_i x_i          y_i = C_i z_i          z_{-1} = 0

elementwise in the d channels and n states (A is diagonal), with D_i the gap before event i. The input's weight w_i:

    zoh      A^-1 (exp(D_i A) - I): the papers' zero-order hold; an event counts as long as the gap before it
    euler    D_i: what mamba-ssm's fused kernel computes
    impulse  1: an event enters whole at its time, however short the gap before it
"""

from models.scan.recurrence import linear_recurrence
from models.scan.selective import BACKENDS, DISCRETIZATIONS, scan_step, scan_with_state, selective_scan

__all__ = ["BACKENDS", "DISCRETIZATIONS", "linear_recurrence", "scan_step", "scan_with_state", "selective_scan"]
