#!/usr/bin/env bash
# Expected: adding a reader of Nanonis files to an environment leaves the fitting library of that environment alone, or pip says that it cannot.
# Seen (nanonis 1.2.1): it wants lmfit below 0.10, of 2020, and says nothing of numpy. pip takes lmfit 1.3.4 back to 0.9.15 without an error, and that
#   one cannot be imported beside today's numpy ("No module named 'numpy.dual'"). `pip check` is content.
# Hurts: the analysis of everybody who shares the environment: fits that ran in the morning end in ModuleNotFoundError after a colleague's install.
# Do: pip install --no-deps nanonis, or nanonispy2 in its place; a constraints file with lmfit>=1.3 makes pip refuse.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "lmfit==1.3.4" "numpy==2.4.6"
cd "$work"
fit='import lmfit, numpy
x = numpy.linspace(-1, 1, 50)
result = lmfit.models.LinearModel().fit(2 * x, x=x, slope=1, intercept=0)
print("lmfit", lmfit.__version__, "numpy", numpy.__version__, "slope", round(result.params["slope"].value, 3))'
"$work/venv/bin/python" -c "$fit"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "nanonis==1.2.1"
"$work/venv/bin/pip" --disable-pip-version-check check
now=$("$work/venv/bin/python" -c 'from importlib.metadata import version; print(version("lmfit"))')
echo "after installing nanonis 1.2.1: lmfit $now"
case "$now" in 0.9.*) ;; *) echo "lmfit was left alone"; exit 1 ;; esac
if "$work/venv/bin/python" -W ignore -c "$fit" 2> said; then
    echo "lmfit can be imported all the same"
    exit 1
fi
tail -1 said
grep -q "numpy" said
echo "as ever: the reader has taken the fitting library away"
