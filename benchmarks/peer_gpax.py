"""One step of gpax's viDKL, with the settings of the published runs; run by the interpreter that has gpax installed.

    python peer_gpax.py DATA.npz N ...

``bench_agents_peers.py`` makes that interpreter and the data: windows (m, d), values (k,) and their places among the windows.
Printed is, for each N, a JSON list of N and the CPU seconds of fit, prediction of all windows, and bound. A step at another
number of values comes first, so that what is loaded and compiled once is not counted; what is compiled anew for every number
of values is, as in every step of a run.
"""

import json
import sys
import time

import gpax
import jax.numpy as jnp
import numpy as np

STEPS, RATE, BETA = 200, 0.05, 10.0


def step(windows: jnp.ndarray, known: np.ndarray, values: jnp.ndarray) -> float:
    """CPU seconds from the values to the place of the next."""
    start = time.process_time()
    fit_key, predict_key = gpax.utils.get_keys()
    model = gpax.viDKL(windows.shape[1], z_dim=2, kernel="RBF")
    model.fit(fit_key, windows[known], values, num_steps=STEPS, step_size=RATE, print_summary=False, progress_bar=False)
    mean, variance = model.predict(predict_key, windows)
    int(jnp.argmax(mean + jnp.sqrt(BETA * variance)))
    return time.process_time() - start


def main(path: str, counts: list[int]) -> None:
    """Print a line for each count."""
    data = np.load(path)
    windows, values = jnp.asarray(data["windows"]), jnp.asarray(data["values"])
    step(windows, data["known"][: min(counts) - 1], values[: min(counts) - 1])
    for n in counts:
        print(json.dumps([n, step(windows, data["known"][:n], values[:n])]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], [int(n) for n in sys.argv[2:]])
