#!/usr/bin/env bash
# Expected: telegraph noise of two clear levels, ten standard deviations apart, is found by a hidden Markov model of two Gaussians, in whatever unit the current
#   is given.
# Seen (hmmlearn 0.3.3): in nA all samples get their right state. The same trace in uA or A gives two states with one mean, and the assignment is
#   no better than the larger share of one level; no warning. Floor and prior of the variances, `min_covar=1e-3` and `covars_prior=1e-2`, are in the square of the unit.
# Hurts: whoever finds switching atoms or tip states in a current as the instrument's files hold it, in A.
# Do: divide by the standard deviation first, or pass both priors in the unit of the data.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "hmmlearn==0.3.3" "numpy==2.4.6" "scipy==1.17.1" "scikit-learn==1.9.0"
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from hmmlearn.hmm import GaussianHMM

print("hmmlearn", version("hmmlearn"))
draw = np.random.default_rng(0)
level = np.cumsum(draw.random(2000) < 0.02) % 2
current = 5 + level + 0.1 * draw.normal(size=2000)  # nA


def right(factor, **priors):
    """Share of the samples whose level is found, and both means in nA."""
    trace = factor * current[:, None]
    model = GaussianHMM(2, n_iter=100, random_state=0, **priors).fit(trace)
    found = model.predict(trace)
    return max((found == level).mean(), (found != level).mean()), np.sort(model.means_.ravel()) / factor


for unit, factor in (("nA", 1.0), ("uA", 1e-3), ("A", 1e-9)):
    share, means = right(factor)
    print(f"in {unit}: {100 * share:.1f} % right, levels {means[0]:.2f} and {means[1]:.2f} nA")
assert right(1.0)[0] == 1.0
assert right(1e-9)[0] < 0.7 and np.ptp(right(1e-9)[1]) < 0.05
assert right(1e-9, min_covar=1e-21, covars_prior=1e-20)[0] > 0.99
print("as ever: a current in amperes has one level")
PY
