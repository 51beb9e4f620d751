# Two commands: `make demo` installs and has the service edit pictures, `make test` installs and checks everything.
#
#   PYTHON       the interpreter the virtual environment is made with (3.11 or newer)
#   CHROMIUM     the browser the page is tested in, where it is not found by itself; without one those tests are skipped
#   TORCH_INDEX  an extra package index for torch and torchvision: PyTorch's own CPU index (its address is on
#                pytorch.org under "Get started") saves some 3 GB on a machine without a GPU
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip

.PHONY: demo test screenshots check format clean
.DELETE_ON_ERROR:

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e '.[dev]'
	# groundingdino-py asks for opencv-python, which needs a desktop's libGL; both write the same files.
	$(PIP) install --quiet --force-reinstall --no-deps -c constraints.txt opencv-python-headless
	touch $@

demo: .venv/installed
	$(BIN)/brushedit demo demo

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# The pictures of the page in the README.
screenshots: .venv/installed
	OMP_NUM_THREADS=1 SCREENSHOTS=tests/web/screenshots $(BIN)/python -m pytest tests/web

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv demo .pytest_cache .ruff_cache .hypothesis .import_linter_cache
