# Two commands: `make serve` runs all of it here, `make test` proves it. Both set themselves up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# CUDA users: make serve TORCH_INDEX=https://download.pytorch.org/whl/cu130 (docs/operations.md, Containers: GPU)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
export PORT ?= 8000
# Waiting OpenMP threads sleep instead of spinning: beside another busy process that was 0.7 s against 52 s for two slices.
export OMP_WAIT_POLICY ?= PASSIVE
# Processes that run test files side by side.
TEST_PROCESSES ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: serve test coverage lint gpu kernel data lock clean

serve: $(VENV)/.ready
	$(BIN)/python -m service.local --end-with-parent

test: $(VENV)/.ready lint
	$(PYTEST)

# Counting lines takes a third more time.
coverage: $(VENV)/.ready
	$(PYTEST) --cov --cov-report term

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests of the Triton kernel: they need triton, which takes 700 MB, and are skipped without it.
kernel: $(VENV)/.ready
	$(BIN)/pip install --quiet "$$(sed -n 's/^kernel = \["\(triton==[^"]*\)".*/\1/p' pyproject.toml)"
	$(BIN)/python -m pytest -n 2 tests/models/sampling/persistent

# On a machine with a GPU: tests, exactness, sampling and training within nine minutes, as JSON in docs/benchmarks/gpu.json.
gpu: $(VENV)/.ready
	$(BIN)/python -m benchmarks.gpu

data: $(VENV)/.ready
	$(BIN)/python -m training.data.build

# Versions and hashes of the images, from docker/*.in, at the versions of requirements.lock (docs/decisions/009).
lock: $(VENV)/.ready
	$(BIN)/pip install --quiet uv
	for image in api worker torch-cuda; do $(BIN)/uv pip compile --quiet --python-version 3.11.9 --python-platform linux --generate-hashes \
	  --no-header --no-annotate --constraint requirements.lock docker/$$image.in --output-file docker/$$image.lock || exit 1; done

$(VENV)/.ready: pyproject.toml requirements.lock
	@echo "Installing into $(VENV), once: PyTorch (about 200 MB), then $$(grep -c == requirements.lock) smaller packages. This takes a few minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --progress-bar on --no-deps --retries 1 --extra-index-url $(TORCH_INDEX) "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install --progress-bar on -r requirements.lock
	touch $@

clean:
	rm -rf $(VENV) .data .cache
