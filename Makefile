# make demo            set everything up, materialize the models, run Dagster's UI, the dashboard and the API
# make demo SERVE=0    stop after materializing
# make test            set everything up and run the fast tests
# make test-slow       the slow tests          make lint    ruff and mypy
# make lock            renew the lock file     make configs write configs/ from the dataclasses of the settings
# make docs            the documentation as a site in site/

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
RUN := "$(VENV)/bin/python"
SERVE ?= 1
DAGSTER_PORT ?= 3000
DASHBOARD_PORT ?= 8501
API_PORT ?= 5000
INSTALLED := $(VENV)/.installed

# Bytecode is kept, as the tests start many processes that would each compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow lint lock configs docs
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	@$(RUN) -m movierec_engine.cli demo $(if $(filter 0,$(SERVE)),--no-serve,--dagster-port $(DAGSTER_PORT) \
		--dashboard-port $(DASHBOARD_PORT) --api-port $(API_PORT))

# A process a core, each with one thread: more threads than cores slow one another down. Each starts with half of the
# tests in their order, so that what a file's tests share is made once, and who is done takes over from who is not.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses=8 --dist worksteal

test-slow: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -m slow -n auto --maxprocesses=2 --dist worksteal

lint: $(INSTALLED)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

# The documentation as a site in site/; a broken link is an error.
docs: $(INSTALLED)
	$(RUN) -m mkdocs build --strict --quiet

configs: $(INSTALLED)
	$(RUN) configs/write.py

# Exactly what the lock file names, then this checkout itself.
$(INSTALLED): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, $(PYTHON) is older; say make PYTHON=..." >&2; exit 1; }
	"$(PYTHON)" -m venv "$(VENV)"
	$(RUN) -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements.lock
	$(RUN) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch "$@"

# Needs no network beyond the package installer; pyproject.toml says what is wanted, the lock what is installed.
lock:
	rm -rf build
	"$(PYTHON)" -m venv build/lock
	build/lock/bin/python -m pip install --disable-pip-version-check --quiet ".[dev]"
	build/lock/bin/python -m pip freeze --all --exclude movierec --exclude pip | sed 's/+cpu$$//' > requirements.lock
	rm -rf build
