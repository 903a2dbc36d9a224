"""Elementary functions in plain arithmetic, which LLVM vectorises inside compiled loops; libm's functions it does not."""

from __future__ import annotations

import math

import numba
import numpy as np

# Multiplications and additions may be fused, as in any matrix product.
fused = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
inlined = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"}, forceinline=True)

# Adding 1.5 * 2^23 (2^52) rounds to a whole number, which then stands in the lowest bits.
_ROUND_32, _ROUND_64 = np.float32(1.5 * 2**23), 1.5 * 2.0**52
_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LN2_HIGH_32, _LN2_LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
_ONE_32 = np.float32(1.0)
_LOWEST_32, _HIGHEST_32, _LOWEST_64, _HIGHEST_64 = np.float32(-87.0), np.float32(88.0), -708.0, 709.0
# 1 / n! for n = 2, 3, ...; one by one, because LLVM doesn't unroll a loop over a long tuple
_F2, _F3, _F4, _F5, _F6, _F7, _F8, _F9, _F10, _F11, _F12, _F13 = (1.0 / math.factorial(n) for n in range(2, 14))
_A3, _A5, _A7, _A9, _A11, _A13, _A15, _A17, _A19, _A21, _A23, _A25, _A27 = (1.0 / n for n in range(3, 28, 2))
_SQRT_2 = math.sqrt(2.0)
_G2, _G3, _G4, _G5, _G6, _G7 = (np.float32(1.0 / math.factorial(n)) for n in range(2, 8))


@inlined
def exp_32(x):
    """Return exp(x), float32, to about 1e-7; below -87 it returns exp(-87)."""
    x = _LOWEST_32 if x < _LOWEST_32 else x
    x = _HIGHEST_32 if x > _HIGHEST_32 else x
    shifted = np.float32(x * np.float32(_LOG2_E) + _ROUND_32)
    whole = np.float32(shifted - _ROUND_32)
    power = np.int32(np.int32(shifted.view(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)
    rest = np.float32(np.float32(x - whole * _LN2_HIGH_32) - whole * _LN2_LOW_32)
    value = ((((_G7 * rest + _G6) * rest + _G5) * rest + _G4) * rest + _G3) * rest + _G2
    return np.float32(((value * rest + _ONE_32) * rest + _ONE_32) * power)


@inlined
def exp_64(x):
    """Return exp(x), float64, to about 1e-15; below -708 it returns exp(-708)."""
    x = _LOWEST_64 if x < _LOWEST_64 else x
    x = _HIGHEST_64 if x > _HIGHEST_64 else x
    shifted = np.float64(x * _LOG2_E + _ROUND_64)
    whole = shifted - _ROUND_64
    power = np.uint64((shifted.view(np.uint64) + np.uint64(1023)) << np.uint64(52)).view(np.float64)
    rest = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    value = (((((_F13 * rest + _F12) * rest + _F11) * rest + _F10) * rest + _F9) * rest + _F8) * rest + _F7
    value = ((((value * rest + _F6) * rest + _F5) * rest + _F4) * rest + _F3) * rest + _F2
    return ((value * rest + 1.0) * rest + 1.0) * power


@inlined
def soft_64(x):
    """Return log(1 + exp(x)), float64, to about 1e-14 of its value."""
    t = exp_64(-abs(x))  # in (0, 1]
    s = t / (2.0 + t)  # log(1 + t) = 2 atanh(s), and s is at most 1/3
    q = s * s
    value = (((((_A27 * q + _A25) * q + _A23) * q + _A21) * q + _A19) * q + _A17) * q + _A15
    value = ((((((value * q + _A13) * q + _A11) * q + _A9) * q + _A7) * q + _A5) * q + _A3) * q + 1.0
    return (x if x > 0.0 else 0.0) + 2.0 * s * value


@inlined
def log_64(x):
    """Return log(x), float64, to about 1e-15, for x from the smallest normal number to below infinity."""
    x = np.float64(x)
    # The exponent is read as the mantissa of a number from 2^52 on: unlike a conversion, this is vectorised everywhere.
    exponent = np.uint64((x.view(np.uint64) >> np.uint64(52)) | np.uint64(0x4330000000000000)).view(np.float64)
    exponent = exponent - (2.0**52 + 1023.0)
    m = np.uint64((x.view(np.uint64) & np.uint64(0x000FFFFFFFFFFFFF)) | np.uint64(0x3FF0000000000000)).view(np.float64)
    large = 1.0 if m > _SQRT_2 else 0.0
    m = m - 0.5 * m * large
    exponent = exponent + large
    s = (m - 1.0) / (m + 1.0)  # log(m) = 2 atanh(s), and s is at most 0.172
    q = s * s
    value = ((((_A19 * q + _A17) * q + _A15) * q + _A13) * q + _A11) * q + _A9
    value = (((value * q + _A7) * q + _A5) * q + _A3) * q + 1.0
    return exponent * _LN2_HIGH + (2.0 * s * value + exponent * _LN2_LOW)


@inlined
def silu_32(x):
    """Return x / (1 + exp(-x)), float32."""
    return np.float32(x / (_ONE_32 + exp_32(-x)))
