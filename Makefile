# The front doors: setup, run, test, check, bench. Each sets up what it needs.
PYTHON ?= python3
# The plain torch package brings gigabytes of CUDA; this release is a CPU build where one is at hand.
TORCH ?= torch==2.13.0
BIN := .venv/bin
# Real terminals are slow on a busy machine: a failure is tried again, and said so. What holds a
# promise (docs/reliability.md) is not, whoever runs it: what fails once in a while there is broken.
RERUNS ?= --reruns 2 --reruns-delay 2 -rfER
READY := .venv/.hdtui-ready
export OMP_NUM_THREADS ?= 1

.PHONY: setup run test test-slow promises check format bench soak storm fuzz clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "hdtui needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hdtui needs Python 3.11 or newer, found $$($(PYTHON) --version); set PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

run: $(READY)
	$(BIN)/hdtui

test: $(READY)
	$(BIN)/pytest -m "not slow" -n 3 --dist worksteal $(RERUNS)

test-slow: $(READY)
	$(BIN)/pytest -m slow -n 2 --dist worksteal --timeout 900 $(RERUNS)

# The tests that docs/reliability.md names, the slow ones too.
promises: $(READY)
	$(BIN)/pytest -m promise -n 3 --dist worksteal --timeout 900

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/hdtui bench simulation
	$(BIN)/hdtui bench distillation
	$(BIN)/hdtui bench cockpit
	$(BIN)/hdtui bench database

# A bad day of random launches, kills, stops and resumes; MINUTES=5 make soak for a shorter one.
# DATABASE=postgresql has two machines share it, which takes root on Linux, and PostgreSQL.
MINUTES ?= 30
SEED ?= 1
DATABASE ?= sqlite
soak: $(READY)
	$(BIN)/python tests/soak/soak.py --minutes $(MINUTES) --seed $(SEED) --database $(DATABASE)

# Kills with -9 over whole pipelines, which end as undisturbed ones do.
KILLS ?= 100
PIPELINES ?= 8
storm: $(READY)
	$(BIN)/python tests/soak/storm.py --kills $(KILLS) --pipelines $(PIPELINES) --seed $(SEED)

# Keys, sizes, marks and accidents at random; STEPS=1000 make fuzz for a shorter one.
STEPS ?= 10000
SEEDS ?= 1 2 3
fuzz: $(READY)
	$(BIN)/python tests/cockpit/cockpit_fuzz.py --steps $(STEPS) --seed $(SEEDS)

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
