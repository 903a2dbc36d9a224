"""Run tick for the benchmarks and the stored numbers of the tests, in an interpreter that has tick instead of this project.

    PYTHON tests/benchmarks/tick_peer.py numbers
    PYTHON tests/benchmarks/tick_peer.py likelihood | simulate --data FILE.npz [--threads 2] [--rounds 7]

`numbers` prints the log-likelihood and gradients that tests/models/hawkes/test_exponential_hawkes.py holds. FILE.npz, as
process_speed.py writes it, holds baseline (k,), branching (k, k), rate, times and types (b, l). `likelihood` times model,
`fit` (in which tick reads the data), loss and gradient together, starting from the arrays. The last line printed is JSON.
"""

import argparse
import json

import numpy as np
from peak_memory import PeakMemory  # beside this file
from rounds import rounds_of
from tick.hawkes import ModelHawkesExpKernLogLik, SimuHawkesExpKernels, SimuHawkesMulti

NUMBERS = {
    "times": [
        [0.063, 2.702, 3.602, 7.501, 9.308, 9.565, 9.855, 10.483, 10.767],
        [1.442, 1.938, 4.541, 4.981, 5.513, 5.6, 7.134, 8.901, 8.96],
    ],
    "types": [[0, 1, 2, 0, 1, 0, 2, 0, 2], [1, 0, 0, 1, 0, 0, 1, 2, 1]],
    "t_end": [12.0, 9.0],
    "baseline": [0.3, 0.5, 0.2],
    "branching": [[0.1, 0.2, 0.05], [0.3, 0.15, 0.1], [0.02, 0.25, 0.4]],
    "rate": 1.3,
}


def by_type(times, types, num_types):
    """Return the times as tick takes them: one array per type."""
    times, types = np.asarray(times), np.asarray(types)
    return [np.ascontiguousarray(times[types == kind]) for kind in range(num_types)]


def loss_and_gradient(sequences, t_end, baseline, branching, rate, threads=1):
    """Return minus the log-likelihood per event, relative to a unit Poisson process per type, and its gradient."""
    model = ModelHawkesExpKernLogLik(rate, n_threads=threads)
    model.fit(sequences, end_times=t_end)
    return model.loss_and_grad(np.concatenate([baseline, np.ravel(branching)]))


def numbers():
    k = len(NUMBERS["baseline"])
    sequences = [by_type(times, types, k) for times, types in zip(NUMBERS["times"], NUMBERS["types"])]
    arguments = (np.array(NUMBERS["t_end"]), NUMBERS["baseline"], NUMBERS["branching"], NUMBERS["rate"])
    loss, gradient = loss_and_gradient(sequences, *arguments)
    return {"loss": loss, "baseline": list(gradient[:k]), "branching": gradient[k:].reshape(k, k).tolist()}


def measure(arguments):
    stored = np.load(arguments.data)
    baseline, branching, rate = stored["baseline"], stored["branching"], float(stored["rate"])
    times = stored["times"]
    sequences = [by_type(*row, len(baseline)) for row in zip(times, stored["types"])]
    memory = PeakMemory()
    numbers = iter(range(arguments.rounds + 1))

    def run():
        if arguments.what == "likelihood":
            return loss_and_gradient(sequences, times[:, -1].copy(), baseline, branching, rate, arguments.threads)
        one = SimuHawkesExpKernels(
            adjacency=branching,
            decays=rate,
            baseline=baseline,
            max_jumps=times.shape[1],
            verbose=False,
            seed=next(numbers),
        )
        return SimuHawkesMulti(one, n_simulations=len(times), n_threads=arguments.threads).simulate()

    return rounds_of(run, arguments.rounds) | {"megabytes": [memory.megabytes()]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["numbers", "likelihood", "simulate"])
    parser.add_argument("--data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(json.dumps(numbers() if arguments.what == "numbers" else measure(arguments)))


if __name__ == "__main__":
    main()
