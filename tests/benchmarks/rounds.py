"""Wall and CPU seconds of repeated runs of a piece of work.

No import but the standard library's, so that interpreters of other environments can run it too.
"""

import time


def rounds_of(run, rounds):
    """Call `run` once to warm up, then `rounds` times; return the wall and CPU seconds (all threads) of each round."""
    run()
    seconds, cpu_seconds = [], []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - worked)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds}
