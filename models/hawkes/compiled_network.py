"""The one-layer Mamba network of a Mamba-Hawkes process, evaluated for LANES events at once in compiled float32 code.

All arrays have the lanes in their last dimension, and a lane's arithmetic is the same wherever it stands. A network without
running counts and clock embeds an event as `embedding[type] + linear(log gaps)`, so that the layer's input projection is three
products per feature and not a matrix product, and h reaches the intensity only by way of two linear maps, which are one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.hawkes.compiled_math import exp_32, fused, log_64, silu_32
from models.hawkes.mamba import MambaHawkesProcess

LANES = 64
RULES = ("impulse", "euler", "zoh")  # their numbers are the kernel's `rule`


class NetworkWeights(NamedTuple):
    """Weights of a network, float32, with the width d filled up to a multiple of 4 by zeros.

    Attributes:
        width: d without filling.
        rule: Number of the input rule in RULES.
        embedding: (k, 3 d), row m is the embedding of type m (d), and its product with the layer's input projection (2 d),
            the gains of the layer's norm included.
        gaps: (3 d, 2), the same for the weights of the two logarithms of the gap.
        read_write: (2 n, d) of B, then C, and their biases (2 n,).
        read_write_bias: Biases of `read_write`.
        rate: (n,), decay rates on the scaled clock.
        skip: (d,).
        scan_gain: (d,), gains of the norm after the scan.
        out: (d, d), the layer's output projection.
        widen: (2 d, d), the norm's gains included.
        widen_bias: (2 d,).
        head: (k, 2 d), from the wide layer to the link's argument, k filled up to an even number.
        head_bias: (k,), the baseline included.
    """

    width: int
    rule: int
    embedding: np.ndarray
    gaps: np.ndarray
    read_write: np.ndarray
    read_write_bias: np.ndarray
    rate: np.ndarray
    skip: np.ndarray
    scan_gain: np.ndarray
    out: np.ndarray
    widen: np.ndarray
    widen_bias: np.ndarray
    head: np.ndarray
    head_bias: np.ndarray


def compilable(process: MambaHawkesProcess) -> bool:
    """Return whether `network_weights` can express the process's network."""
    network = process.network
    return len(network.layers) == 1 and network.counts is None and network.clock is None


def network_weights(process: MambaHawkesProcess) -> NetworkWeights:
    """Return the weights of a process whose network is `compilable`."""
    network, (layer,) = process.network, process.network.layers
    d = network.hidden
    wide = -(-d // 4) * 4

    def filled(matrix: Tensor, *sizes: int) -> np.ndarray:
        """Return a float32 copy of the given sizes, filled with zeros; the halves of 2 d are filled separately."""
        array = matrix.detach().double().numpy()
        for axis, size in enumerate(sizes):
            halves = size == 2 * wide and array.shape[axis] == 2 * d
            pieces = []
            for part in np.split(array, 2 if halves else 1, axis):
                shape = list(part.shape)
                shape[axis] = (wide if halves else size) - shape[axis]
                pieces += [part, np.zeros(shape)]
            array = np.concatenate(pieces, axis)
        return np.ascontiguousarray(array, np.float32)

    embedding = network.embedding.weight[: process.num_types].double().T
    gaps = embedding.new_zeros(d, 2) if network.gap_embedding is None else network.gap_embedding.weight.double()
    project = layer.project_in.weight.double() * layer.norm.weight.double()
    head = process.head.weight.double()
    even = -(-process.num_types // 2) * 2
    return NetworkWeights(
        width=d,
        rule=RULES.index(layer.discretization),
        embedding=np.ascontiguousarray(
            np.concatenate([filled(embedding, wide), filled(project @ embedding, 2 * wide)]).T
        ),
        gaps=np.concatenate([filled(gaps, wide), filled(project @ gaps, 2 * wide)]),
        read_write=filled(torch.cat([layer.project_B.weight, layer.project_C.weight]), 2 * network.state, wide),
        read_write_bias=filled(torch.cat([layer.project_B.bias, layer.project_C.bias]), 2 * network.state),
        rate=filled(layer.log_rate.exp()[0], network.state),
        skip=filled(layer.skip, wide),
        scan_gain=filled(layer.norm_scan.weight, wide),
        out=filled(layer.project_out.weight, wide, wide),
        widen=filled(network.widen.weight.double() * network.norm.weight.double(), 2 * wide, wide),
        widen_bias=filled(network.widen.bias, 2 * wide),
        head=filled(head @ network.narrow.weight.double(), even, 2 * wide),
        head_bias=filled(head @ network.narrow.bias.double() + process.baseline.double(), even),
    )


@fused
def _product(matrix, x, out):
    """Add matrix (m, d) @ x (d, LANES) to out (m, LANES); m is even and d a multiple of 4."""
    for i in range(0, matrix.shape[0], 2):
        for k in range(0, matrix.shape[1], 4):
            a, b, c, d = matrix[i, k], matrix[i, k + 1], matrix[i, k + 2], matrix[i, k + 3]
            e, f, g, h = matrix[i + 1, k], matrix[i + 1, k + 1], matrix[i + 1, k + 2], matrix[i + 1, k + 3]
            for w in range(LANES):
                p, q, r, s = x[k, w], x[k + 1, w], x[k + 2, w], x[k + 3, w]
                out[i, w] += a * p + b * q + c * r + d * s
                out[i + 1, w] += e * p + f * q + g * r + h * s


@fused
def _normalised(x, width, scale):
    """Write 1 / sqrt(mean of x^2 + 1e-5) of x (d, LANES) over its first dimension to scale (LANES,)."""
    for w in range(LANES):
        scale[w] = np.float32(0.0)
    for i in range(x.shape[0]):
        for w in range(LANES):
            scale[w] += x[i, w] * x[i, w]
    for w in range(LANES):
        scale[w] = np.float32(1.0) / np.sqrt(scale[w] / np.float32(width) + np.float32(1e-5))


@fused
def advance(weights, states, types, gap, moved, work, base):
    """Process one event in each lane that moved, and write the base of its levels.

    Args:
        weights: A NetworkWeights.
        states: (n, d, LANES) float32, updated in the lanes that moved.
        types: (LANES,) int64, types of the events.
        gap: (LANES,) float64, the scaled gap before each event.
        moved: (LANES,) bool. Nothing of the other lanes is changed.
        work: (6 d + 2 n + 6 + k, LANES) float32, scratch.
        base: (k, LANES) float64, the baseline and the neural term; updated.
    """
    d, n = len(weights.skip), len(weights.rate)
    x, pre, y = work[:d], work[d : 3 * d], work[3 * d : 4 * d]
    mixed = work[4 * d : 4 * d + 2 * n]
    wide = work[4 * d + 2 * n : 6 * d + 2 * n]
    rest = work[6 * d + 2 * n :]
    scale, near, far, kept, added = rest[0], rest[1], rest[2], rest[3], rest[4]
    arguments = rest[5 : 5 + len(weights.head)]
    one = np.float32(1.0)
    for w in range(LANES):
        near[w] = log_64(1.0 + gap[w])
        far[w] = log_64(1.0 + 1000.0 * gap[w])
    for w in range(LANES):
        for i in range(3 * d):
            work[i, w] = weights.embedding[types[w], i]
    for i in range(3 * d):
        by_near, by_far = weights.gaps[i, 0], weights.gaps[i, 1]
        for w in range(LANES):
            work[i, w] += by_near * near[w] + by_far * far[w]
    _normalised(x, weights.width, scale)
    for i in range(2 * d):
        for w in range(LANES):
            pre[i, w] = silu_32(pre[i, w] * scale[w])
    v, gate = pre[:d], pre[d:]
    for i in range(2 * n):
        for w in range(LANES):
            mixed[i, w] = weights.read_write_bias[i]
    _product(weights.read_write, v, mixed)
    for i in range(d):
        for w in range(LANES):
            y[i, w] = weights.skip[i] * v[i, w]
    for s in range(n):
        rate, write, read, state = weights.rate[s], mixed[s], mixed[n + s], states[s]
        for w in range(LANES):
            lag = np.float32(gap[w])
            kept[w] = exp_32(-rate * lag) if moved[w] else one
            weight = one
            if weights.rule == 1:
                weight = lag
            elif weights.rule == 2:
                weight = np.float32(-np.expm1(-np.float64(rate) * gap[w]) / np.float64(rate))
            added[w] = weight * write[w] if moved[w] else np.float32(0.0)
        for i in range(d):
            for w in range(LANES):
                z = kept[w] * state[i, w] + added[w] * v[i, w]
                state[i, w] = z
                y[i, w] += read[w] * z
    _normalised(y, weights.width, scale)
    for i in range(d):
        for w in range(LANES):
            y[i, w] = y[i, w] * weights.scan_gain[i] * scale[w] * gate[i, w]
    _product(weights.out, y, x)
    _normalised(x, weights.width, scale)
    for i in range(d):
        for w in range(LANES):
            x[i, w] *= scale[w]
    for i in range(2 * d):
        for w in range(LANES):
            wide[i, w] = weights.widen_bias[i]
    _product(weights.widen, x, wide)
    for i in range(2 * d):
        for w in range(LANES):
            wide[i, w] = wide[i, w] if wide[i, w] > np.float32(0.0) else np.float32(0.0)
    for k in range(len(arguments)):
        for w in range(LANES):
            arguments[k, w] = weights.head_bias[k]
    _product(weights.head, wide, arguments)
    for k in range(len(base)):
        for w in range(LANES):
            base[k, w] = np.float64(arguments[k, w]) if moved[w] else base[k, w]
