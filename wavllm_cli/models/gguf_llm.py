"""A chat LLM in a GGUF file as a Hugging Face folder: transformers reads the tensors, quantised ones as numbers."""

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.integrations.gguf.reader import read_gguf_metadata

from wavllm_cli.errors import WavLLMError, listed
from wavllm_cli.models.folder import write_model

SMOLLM = "smollm"  # a way of cutting words, as llama.cpp calls it
DTYPE = torch.float16  # its 11 bits are more than any quantised weight carries


def convert_gguf(source: Path, folder: Path) -> None:
    """Write the folder of the language model whose GGUF file, the only one, lies in `source`.

    Raises:
        WavLLMError: tensors are missing or left over, or words are cut in a way that is not known here.
    """
    (file,) = source.glob("*.gguf")
    with redirect_stderr(StringIO()):  # its progress bars know of no way to be told
        tokenizer = _tokenizer(file)
        config = AutoConfig.from_pretrained(source, gguf_file=file.name, trust_remote_code=False)
        model, report = AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=file.name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
        )
    if wrong := sorted({*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]}):
        raise WavLLMError(f"{file} does not hold the tensors of a {config.model_type} model: {listed(wrong, 3)}.")
    config.dtype = DTYPE
    tensors = {name: tensor.to(DTYPE) for name, tensor in model.state_dict().items()}
    write_model(type(model), config, tensors, model.generation_config, folder)
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)


def _tokenizer(file: Path) -> PreTrainedTokenizerBase:
    """The tokenizer, which splits digits before GPT-2's pattern cuts the words, as SmolLM was trained.

    transformers does not know this way; without it two blanks before a number are cut otherwise.
    """
    metadata, _ = read_gguf_metadata(str(file))
    if (way := metadata["tokenizer.ggml.pre"]) != SMOLLM:
        raise WavLLMError(f"{file} cuts words in the way {way!r}, which is unknown here.")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return tokenizer
