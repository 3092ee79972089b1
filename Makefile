# `make demo` and `make test` set up what is missing, then run. A second run of either is quick.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test test-load test-faults test-slow test-browser test-viewers test-bench trials fuzz lint evaluate evidence bench-setup setup system

PYTHON ?= python3.11
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check --quiet
# For example: make demo ARGS="--study DIR --truth DIR", make test ARGS=tests/listener
ARGS ?=
# Cases with a known answer, for make evaluate DATA="DIR DIR"
DATA ?=
# Head label maps, for make evidence
ANATOMY ?=
# For make test-load: studies of the soak
LOAD_STUDIES ?= 1000
SCREENSHOTS ?=
# For make test-faults: how often the service is killed
KILLS ?= 200

demo: setup
	$(VENV)/bin/glioloop demo $(ARGS)

# A file's tests stay in one process, and tests/conftest.py begins with the longest files. Each process
# computes with one thread; there is one more than processors, for many tests wait for a service.
# Each takes up to 2 GiB: make test TESTERS=1 where memory is scarce.
TESTERS ?= $(shell processors=$$(nproc); echo $$((processors < 4 ? processors + 1 : 4)))
test: lint
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder \
	  --durations 25 $(ARGS)

# What takes minutes: trainings, whole generated patients, the service killed at further moments.
test-slow: setup
	$(VENV)/bin/python -m pytest -m slow $(ARGS)

# Load, and a soak of LOAD_STUDIES studies; its figures go into docs/load.md. Tens of minutes.
test-load: setup
	LOAD_STUDIES=$(LOAD_STUDIES) LOAD_TABLE=1 $(VENV)/bin/python -m pytest -m load tests/load $(ARGS)

# The service killed at random moments, archives and disks that fail; writes docs/reliability.md.
test-faults: setup
	KILLS=$(KILLS) FAULTS_TABLE=1 $(VENV)/bin/python -m pytest -m faults tests/faults $(ARGS)

# OHIF and the status page in Chromium; npm fetches OHIF. Pictures: SCREENSHOTS=DIR; see docs/ohif.md.
test-browser: setup .venv.stamp-browser
	scripts/ohif .browser/ohif
	GLIOLOOP_SCREENSHOTS="$(SCREENSHOTS)" $(VENV)/bin/python -m pytest -m browser tests/browser $(ARGS)

# Corrections as OHIF's own libraries save them; npm fetches those. See docs/corrections.md.
test-viewers: setup tests/viewers/node_modules/.stamp
	$(VENV)/bin/python -m pytest -m viewers $(ARGS)

# Known displacements of real heads: see docs/alignment.md. Needs the real data of CONTRIBUTING.md.
trials: setup
	$(VENV)/bin/python -m pytest -m trials tests/slow $(ARGS)

# Tens of thousands of hostile inputs; their table goes into docs/security.md.
fuzz: setup
	$(VENV)/bin/python -m pytest -m fuzz tests/fuzz $(ARGS)

# Every evaluation on real data is kept in docs/evaluations.jsonl, the poor ones too.
evaluate: setup
	@test -n "$(DATA)" || { echo "Say where the cases are: make evaluate DATA=DIR" >&2; exit 1; }
	$(VENV)/bin/glioloop evaluate $(DATA) --log docs/evaluations.jsonl $(ARGS)

# Whether adaptation helps: about an hour on two cores, and goes on where it was. See
# docs/adaptation-evidence.md. For example: make evidence ANATOMY=LABELMAPS DATA=LONGITUDINAL
EVIDENCE ?= .evidence
evidence: setup
	@test -n "$(ANATOMY)" || { echo "Say where the head label maps are: make evidence ANATOMY=DIR" >&2; exit 1; }
	$(VENV)/bin/glioloop evidence followups --anatomy "$(ANATOMY)" \
	  --work $(EVIDENCE)/followups --out docs/adaptation-followups.json $(ARGS)
	$(VENV)/bin/glioloop evidence centre --anatomy "$(ANATOMY)" \
	  --work $(EVIDENCE)/centre --out docs/adaptation-centre.json $(ARGS)
	@test -z "$(DATA)" || \
	  $(VENV)/bin/glioloop evaluate --adaptation $(DATA) --no-log --json > docs/adaptation-patients.json
	$(VENV)/bin/glioloop evidence page docs/adaptation-evidence.md \
	  --followups docs/adaptation-followups.json --centre docs/adaptation-centre.json \
	  --patients docs/adaptation-patients.json

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# What `glioloop bench inference` is compared with: MONAI and ONNX Runtime. The service needs neither.
bench-setup: .venv.stamp-bench

# That what glioloop bench compares with computes the same.
test-bench: bench-setup
	$(VENV)/bin/python -m pytest -m bench $(ARGS)

.venv.stamp-bench: requirements-bench.txt .venv.stamp
	$(PIP) --no-deps --requirement requirements-bench.txt
	@touch $@

.venv.stamp-browser: requirements-browser.txt .venv.stamp
	scripts/browser-packages
	$(PIP) --no-deps --requirement requirements-browser.txt
	@touch $@

tests/viewers/node_modules/.stamp: tests/viewers/package.json tests/viewers/package-lock.json
	scripts/viewer-packages
	npm ci --prefix tests/viewers --ignore-scripts --no-audit --no-fund
	@touch $@

setup: system .venv.stamp

system:
	@PYTHON="$(PYTHON)" scripts/system-packages

# The pinned list is complete, and each file is held to its hash. It leaves out what dicom2nifti and
# pydicom could use but we refuse: GDCM, which would decode untrusted files in native code. PyTorch
# comes from wherever pip is told to look: its build for the processor alone, or the one for CUDA,
# which brings libraries of its own. What both need else is there already, and held to ours.
.venv.stamp: pyproject.toml requirements.txt | system
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "Glioloop needs Python 3.11: install it, or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(VENV)/bin/python || "$(PYTHON)" -m venv $(VENV)
	$(PIP) --no-deps --require-hashes --requirement requirements.txt
	$(PIP) --constraint <(sed -n 's/^\(.*==[^ ]*\).*/\1/p' requirements.txt) \
	  "$$(grep -o 'torch==[0-9.]*' pyproject.toml)"
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@
