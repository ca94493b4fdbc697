"""The WavLLM network in Hugging Face form: configuration, encoders, adapters, prompt-aware LoRA, model, processor."""
