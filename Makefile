# Two commands on a fresh machine with Python 3.11 to 3.13: `make demo` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DATA ?= bluesky_stm_data

# uv installs where it is there, and pip else; both take the versions of locks/, which `make lock` makes anew.
UV ?= $(shell command -v uv 2>/dev/null)
LOCKED = 3.11 3.12 3.13
LOCK = $(wildcard locks/$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt)
INSTALL = $(if $(UV),$(UV) pip install -q --python $(BIN)/python,$(BIN)/pip install -q) -c constraints.txt $(addprefix -c ,$(LOCK))

.PHONY: lock demo test experiments lint house types docs wheel benchmarks speed results notebooks vendor-examples clean

demo: $(VENV)/bin/bluesky-stm
	$(BIN)/bluesky-stm demo --catalog $(DATA)

# One thread for each of the processes that share the processors: threads that wait for each other cost a quarter more.
test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -rs -m "not slow"

# The long forms of the tests: every message of a plan interrupted, thirty killed runs, a thousand faults.
experiments: $(VENV)/installed $(VENV)/databroker1/installed
	BLUESKY_STM_DATABROKER1=$${BLUESKY_STM_DATABROKER1:-$(abspath $(VENV))/databroker1/bin/python} OMP_NUM_THREADS=1 \
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

# The vendor's example scripts, which its source package alone holds: tests/controllers/nanonis/vendor runs them unchanged.
vendor-examples: $(VENV)/installed
	$(BIN)/pip download -q --no-deps --no-binary :all: -d build/vendor nanonis-spm==1.0.9
	tar xzf build/vendor/nanonis_spm-1.0.9.tar.gz -C build/vendor
	$(BIN)/python -m pytest -q tests/controllers/nanonis/vendor

# What is held against a bar: tests, and the processor time beside an older build, about an hour. A part: `make speed PARTS=start`.
benchmarks: $(VENV)/installed
	$(BIN)/python -m pytest $$(grep -l "def test_" benchmarks/bench_*.py)
	$(MAKE) speed

speed: $(VENV)/installed
	$(BIN)/python benchmarks/bench_speed.py benchmarks/results/speed.md $(PARTS) $(if $(REPEATS),--repeats $(REPEATS))

# The pictures of README and documentation, of a run of the demo; needs Chromium.
pictures: $(VENV)/installed demo
	$(BIN)/python docs/pictures.py $(DATA)

# Every result in benchmarks/results made anew, and the page that lists them: many hours. One of them: `make results NAME=storage`.
results: $(VENV)/installed
	$(BIN)/python benchmarks/run_all.py $(NAME)

# A recent pip resolves so many packages in a fraction of the time that the one of an older Python takes.
$(VENV)/bin/bluesky-stm: setup.cfg pyproject.toml constraints.txt $(LOCK)
	$(PYTHON) -m venv $(VENV) $(if $(UV),,&& $(BIN)/pip install -q --upgrade pip)
	$(INSTALL) -e .
	touch $@

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt $(LOCK)
	$(PYTHON) -m venv $(VENV) $(if $(UV),,&& $(BIN)/pip install -q --upgrade pip)
	$(INSTALL) -e '.[test]'
	touch $@ $(BIN)/bluesky-stm

# The newest versions that setup.cfg allows, for each version of Python; needs uv.
lock:
	for version in $(LOCKED); do uv pip compile -q --upgrade setup.cfg --all-extras -c constraints.txt --python-version $$version \
		--no-header --no-annotate --no-emit-index-url -o locks/$$version.txt || exit 1; done

$(VENV)/databroker1/installed: tests/storage/databroker1.txt | $(VENV)/installed
	$(PYTHON) -m venv $(VENV)/databroker1 && $(VENV)/databroker1/bin/pip install -q --upgrade pip
	$(VENV)/databroker1/bin/pip install -q -r tests/storage/databroker1.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
