#!/usr/bin/env bash
# Expected: a reader of Nanonis files can be imported after pip has installed it with all that it asks for.
# Seen (nanonis_load 3.0.2): the modules of images and spectra read colour maps from .csv files while they are imported, and the wheel does not hold
#   these files: FileNotFoundError at "import", although pip and `pip check` are content. Only the source tree of the authors works.
# Hurts: an environment that was built at a facility by the name of the package: the fault is met by the user, at the first import.
# Do: install it from the source tree in editable form, or read the files with nanonispy2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "nanonis_load==3.0.2"
"$work/venv/bin/pip" --disable-pip-version-check check
cd "$work"
export MPLBACKEND=Agg
"$work/venv/bin/python" -W ignore -c 'from importlib.metadata import version; import nanonis_load; print("nanonis_load", version("nanonis_load"))'
for module in sxm didv; do
    if "$work/venv/bin/python" -W ignore -c "import nanonis_load.$module" 2> said; then
        echo "nanonis_load.$module can be imported"
        exit 1
    fi
    echo "nanonis_load.$module: $(tail -1 said | sed "s|$work|...|")"
    tail -1 said | grep -q "FileNotFoundError.*csv"
done
echo "as ever: the modules cannot be imported"
