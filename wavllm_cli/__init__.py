"""wavllm: teach a chat LLM to listen, from raw corpora to scored answers."""

__version__ = "0.1.0"
