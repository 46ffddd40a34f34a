# One word each. VENV, NAME and ARGS can be given: make up NAME=other ARGS="--nodes 3"
VENV ?= .venv
NAME ?= kubeshim
ARGS ?=
PYTEST = $(VENV)/bin/python -m pytest

.PHONY: up down test check format bench images

up:  ## install what is missing, then start the cluster
	@VENV=$(VENV) tools/setup.sh run
	@$(VENV)/bin/kubeshim up --name $(NAME) $(ARGS)

down:  ## remove the cluster and everything of it
	@if [ -x $(VENV)/bin/kubeshim ]; then $(VENV)/bin/kubeshim down --name $(NAME); else echo "nothing is installed"; fi

check: ## style, types, import contracts
	@VENV=$(VENV) tools/setup.sh test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test: check  ## everything: checks, then all tests, the expensive ones last
	@VENV=$(VENV) tools/engine.sh
	@examples/images/build.sh >/dev/null
	$(PYTEST) -q -n 2 --dist loadfile -m "not e2e and not root"
	$(PYTEST) -q -m "root and not e2e"
	$(PYTEST) -q -m e2e tests/e2e
	$(PYTEST) -q -n 2 -m e2e tests/conformance

format:
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

images: ## the images of the examples, made from Debian's busybox
	examples/images/build.sh

bench: ## the figures of README's performance section
	@VENV=$(VENV) tools/setup.sh test
	$(VENV)/bin/python -m tests.benchmarks
