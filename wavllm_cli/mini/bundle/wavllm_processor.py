"""This model's processor is part of the Python package wavllm."""

try:
    from wavllm_cli.model.processing_wavllm import WavLLMProcessor  # noqa: F401
except ImportError as error:
    raise ImportError(
        "This folder holds a WavLLM, whose code is the Python package wavllm: install that, and load the folder with "
        "its WavLLMForConditionalGeneration and WavLLMProcessor."
    ) from error
