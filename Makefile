# `make help` lists everything. Needs Python 3.11+ and make; everything else is fetched into .tools/ and .venv/.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
ARGS ?=

UV := .tools/bin/uv
BIN := .venv/bin
RUNS := tests/run tests/train/test_several_processes.py tests/controller/faults tests/controller/shell/test_policies.py
ON_A_NODE := tests/e2e tests/images/test_images.py tests/images/test_tryout_programs.py tests/cluster/test_kwok.py
# An existing cluster: then nothing but kubectl and helm is needed
ELSEWHERE := $(TUNESMITH_E2E_KUBECONFIG)
IN_IMAGES := generate train merge controller tryout
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header

##@ Use

.PHONY: demo
demo: install ## Tune a real model on a CPU, end to end: no account, no key, no GPU (ARGS="--store s3://...")
	@$(BIN)/python -m tunesmith_tryout.demo $(ARGS)

.PHONY: install
install: .venv/.installed ## Everything into .venv/, from the locked requirements

.PHONY: images
images: ## Build the five images, with docker or buildah (ARGS="controller merge")
	@images/build.sh $(ARGS)

.PHONY: gpu-check
gpu-check: install ## Check what only a GPU can show about the training recipe; writes docs/reference/gpu-check.md
	@$(BIN)/python scripts/gpu_check.py $(ARGS)

##@ Develop

.PHONY: test
test: install lint types parts ## Lint, types, and all tests except those of `runs` and `e2e`
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(RUNS:%=--ignore %) $(ON_A_NODE:%=--ignore %) $(ARGS)

.PHONY: lint
lint: install ## Style, import contract, YAML
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/yamllint --strict .

.PHONY: types
types: install ## Strict types
	$(BIN)/mypy

.PHONY: format
format: install ## Fix what can be fixed automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: install ## Write the generated reference pages
	$(BIN)/python scripts/reference.py

.PHONY: crd
crd: install ## Write the CustomResourceDefinition and everything that is generated from it
	@$(BIN)/python scripts/chart.py
	@$(BIN)/python scripts/reference.py

.PHONY: chart
chart: install ## Write the chart's generated files: schema, README, rights, CRD
	@$(BIN)/python scripts/chart.py

.PHONY: parts
parts: ## Install what tests need besides Python packages (a browser), if the machine allows it
	@scripts/parts.sh

.PHONY: runs
runs: install parts ## Whole runs on this machine: killed, reused, on S3, on two processes; controllers that die or meet policies
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(RUNS) $(ARGS)

.PHONY: e2e
e2e: install ## Tests of the images, and on a cluster with a node: our own (Linux, root), or that of TUNESMITH_E2E_KUBECONFIG
	$(if $(ELSEWHERE),,@tests/cluster/build.sh node)
	$(if $(ELSEWHERE),,@BASE_IMAGE=$${BASE_IMAGE:-debootstrap} images/build.sh)
	$(BIN)/python -m pytest $(if $(ELSEWHERE),tests/e2e,$(ON_A_NODE)) -n 2 --dist loadscope --no-loadscope-reorder --timeout 1800 --durations 15 $(ARGS)

.PHONY: e2e-full
e2e-full: e2e ## The same, plus a run killed ten times, chaos on the node, and 1,000 and 500 requests on fake nodes
	TUNESMITH_LONG=1 $(BIN)/python -m pytest tests/run/test_faults.py tests/e2e/test_chaos.py
	$(BIN)/python benchmarks/controller/run.py --only throughput

.PHONY: cluster-up
cluster-up: ## Start a Kubernetes cluster of our own on this machine (Linux, root)
	@tests/cluster/build.sh node
	@$(PYTHON) tests/cluster up

.PHONY: cluster-down
cluster-down: ## Stop it; its images stay in the cache
	@$(PYTHON) tests/cluster down

.PHONY: bench
bench: install ## Run all benchmarks, each against a peer; writes benchmarks/*/results.md
	@for stage in generate train merge evaluate threads controller; do $(BIN)/python benchmarks/$$stage/run.py; done

.PHONY: soak
soak: install ## Two hours of requests on fake nodes, with connections cut each minute (ARGS="--minutes 20")
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.controller.soak $(ARGS)

.PHONY: lock
lock: $(UV) ## Resolve the requirements again (UPGRADE=1: to the newest versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra cluster -c requirements/dev.txt pyproject.toml -o requirements/cluster.txt
	for extra in $(IN_IMAGES); do $(COMPILE) --extra $$extra -c requirements/dev.txt --excludes requirements/excluded.txt pyproject.toml -o requirements/$$extra.txt; done
	$(COMPILE) -c requirements/dev.txt images/tryout/requirements.in -o images/tryout/requirements.txt

.PHONY: clean
clean: ## Remove everything that was installed and built here
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis examples/models

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv by hash, in an environment of its own
$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Say which: make PYTHON=python3.12"; exit 78; }
	@$(PYTHON) -m venv .tools || { echo "$(PYTHON) -m venv failed: install the venv module (Debian: apt install python3-venv)"; exit 78; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.installed: $(UV) pyproject.toml requirements/dev.txt
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python .venv requirements/dev.txt
	@$(UV) pip install --quiet --python .venv --no-deps --editable .
	@touch $@
