# Two commands on a fresh machine with Python 3.11 to 3.13: `make demo` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DATA ?= bluesky_stm_data

.PHONY: demo test experiments lint house types docs wheel benchmarks results notebooks clean

demo: $(VENV)/bin/bluesky-stm
	$(BIN)/bluesky-stm demo --catalog $(DATA)

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist loadfile -rs -m "not slow"

# The long forms of the tests: every message of a plan interrupted, thirty killed runs, a thousand faults.
experiments: $(VENV)/installed $(VENV)/databroker1/installed
	BLUESKY_STM_DATABROKER1=$${BLUESKY_STM_DATABROKER1:-$(abspath $(VENV))/databroker1/bin/python} \
	$(BIN)/python -m pytest -n auto --dist loadfile -m slow --timeout 3600

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory house PYTHON_OF_HOUSE=$(BIN)/python

# How the source reads: docstrings describe their arguments, begin with a verb or a noun, and so on. Needs numpydoc alone.
PYTHON_OF_HOUSE ?= $(BIN)/python
house:
	$(PYTHON_OF_HOUSE) benchmarks/house.py --check one_line=49

# mypy does not follow the mapping devices/ -> bluesky_stm.devices of an editable install: give it the real tree.
types: $(VENV)/installed
	rm -rf build/tree build/lib && $(BIN)/pip install -q --no-deps --target build/tree .
	rm -rf *.egg-info  # it would hide the entry points of a later setup.cfg from whatever is started here
	cd build/tree && $(abspath $(BIN))/mypy --config-file ../../pyproject.toml -p bluesky_stm

docs: $(VENV)/installed
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs build/docs

# A wheel, installed where nothing of this checkout can be found instead of it.
wheel: $(VENV)/installed
	rm -rf dist && $(BIN)/pip wheel -q --no-deps -w dist .
	rm -rf *.egg-info build/wheel && $(PYTHON) -m venv build/wheel && build/wheel/bin/pip install -q -c constraints.txt dist/*.whl
	cd build/wheel && bin/bluesky-stm doctor

# The notebooks of examples/ with the outputs that the documentation shows.
notebooks: $(VENV)/installed
	$(BIN)/python examples/execute.py

benchmarks: $(VENV)/installed
	$(BIN)/python -m pytest $$(grep -l "def test_" benchmarks/bench_*.py)

# Every result in benchmarks/results made anew, and the page that lists them: many hours. One of them: `make results NAME=storage`.
results: $(VENV)/installed
	$(BIN)/python benchmarks/run_all.py $(NAME)

# A recent pip resolves so many packages in a fraction of the time that the one of an older Python takes.
$(VENV)/bin/bluesky-stm: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) && $(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) && $(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	touch $@ $(BIN)/bluesky-stm

$(VENV)/databroker1/installed: tests/storage/databroker1.txt | $(VENV)/installed
	$(PYTHON) -m venv $(VENV)/databroker1 && $(VENV)/databroker1/bin/pip install -q --upgrade pip
	$(VENV)/databroker1/bin/pip install -q -r tests/storage/databroker1.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
