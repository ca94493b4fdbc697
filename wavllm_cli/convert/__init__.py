"""Between formats: the released fairseq checkpoint to a model folder and back, and the LLM alone for other software."""
