"""`python -m wavllm_cli` is `wavllm`."""

from wavllm_cli.cli import main

main()
