# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
SHOWN  := $(VENV)/.demo-ready

# Every worker process would compile every module anew, and the figures would be the compiler's.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test servers unit check chaos bench docs clean format

$(STAMP): pyproject.toml tools/setup.sh
	@PYTHON=$(PYTHON) bash tools/setup.sh $(VENV) dev producers servers
	@touch $@ $(SHOWN)

# The demo needs far less than the tests, and should start sooner.
$(SHOWN): pyproject.toml tools/setup.sh
	@PYTHON=$(PYTHON) bash tools/setup.sh $(VENV) demo
	@touch $@

# RabbitMQ, Redis and PostgreSQL, which tests start for themselves; at once done where they are installed.
servers:
	@bash tools/servers.sh

demo: $(SHOWN)
	@$(BIN)/python -m examples.photos $(if $(PHOTOS),--photos "$(PHOTOS)")

unit: $(STAMP)
	@$(BIN)/pytest -n 2 tests/unit tests/property

test: $(STAMP) servers
	@$(BIN)/python tools/test.py

check: $(STAMP)
	@$(BIN)/python tools/check.py

chaos: $(STAMP) servers
	@$(BIN)/python tools/chaos.py $(DRILL)

bench: $(STAMP) servers
	@$(BIN)/python -m bench

docs: $(STAMP)
	@$(BIN)/python tools/docs.py

format: $(STAMP)
	@$(BIN)/ruff check --fix -q src tests tools bench examples; $(BIN)/ruff format -q src tests tools bench examples

clean:
	rm -rf $(VENV) .leveret dist build docs/_build
