# Two commands on a fresh machine: make demo, make test. Each makes .venv when it is not there.
PYTHON ?= python3
BIN := .venv/bin
LIBRARY ?= firsthand-demo/library
export OMP_NUM_THREADS ?= 2

.PHONY: demo test check interop bench review

demo: .venv/ready ## the whole chain on the synthetic wearer
	$(BIN)/firsthand demo

test: .venv/ready ## the tests: what goes by the clock one after another, the rest on every core
	$(BIN)/python -m pytest -m "not interop" tests/capture tests/test_*.py
	$(BIN)/python -m pytest -m "not interop" -n auto --dist loadfile tests/retarget tests/annotate tests/datasets

check: .venv/ready build/types/firsthand ## lint and types
	$(BIN)/ruff check .
	$(BIN)/mypy -p firsthand.capture -p firsthand.retarget -p firsthand.annotate -p firsthand.datasets \
		-m firsthand.cli -m firsthand.app -m firsthand.pipeline -m firsthand.demo -m firsthand.validation

interop: .venv/ready ## our exports in the trainers' own loaders, each in its own cached venv
	$(BIN)/python -m pytest -m interop

bench: .venv/ready ## every performance claim, measured
	@missed=; for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || missed="$$missed $$script"; done; \
	if [ -n "$$missed" ]; then echo "goals missed, or a peer is not installed:$$missed"; exit 1; fi

review: .venv/ready ## the review app on LIBRARY (the demo's by default)
	$(BIN)/firsthand review $(LIBRARY)

.venv/ready: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	touch $@

build/types/firsthand:
	mkdir -p build/types
	ln -sfn ../.. $@
