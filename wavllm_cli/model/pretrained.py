"""What every WavLLM shares with other models of transformers: loading, saving, and what it can be asked for."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME

from wavllm_cli.data.files import give_umask_modes
from wavllm_cli.data.origin import anchored
from wavllm_cli.errors import UsageError
from wavllm_cli.model.backbones import load_backbones
from wavllm_cli.model.checkpoint import read_checkpoint
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.groups import is_backbone_tensor
from wavllm_cli.model.quantization import quantise_llm_only


class WavLLMPreTrainedModel(PreTrainedModel):
    config: WavLLMConfig
    config_class = WavLLMConfig
    base_model_prefix = "model"
    input_modalities = ("audio", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    # Under autocast (see model.precision) these cost nothing, and their norms and sums compute as in training.
    _keep_in_fp32_modules_strict = ("semantic_adapter", "acoustic_adapter", "layer_weights", "fusion", "prompt_adapter")

    @classmethod
    def from_pretrained(
        cls,
        path: str | os.PathLike | None,
        *args,
        config: WavLLMConfig | None = None,
        fresh: str = "",
        trust_remote_code: bool | None = False,
        **kwargs,
    ):
        """Load a checkpoint folder or hub id; frozen backbones come from where the checkpoint says they are.

        Args:
            fresh: prefix of the tensors that may be missing from the checkpoint and then start as in a new model.
            trust_remote_code: run code that the files of the model or of its backbones bring along.
            kwargs: as for any model of transformers. `attn_implementation` is for Whisper and the LLM, WavLM has its
                own; `quantization_config` for the LLM's own linear layers.

        Raises:
            UsageError: the files name code, a backbone's folder is missing, or a way of quantising that cannot leave
                LoRA, adapters and encoders out.
            WavLLMError: the tensors are not those that the configuration describes.
        """
        if kwargs.get("attn_implementation") is not None:
            kwargs["attn_implementation"] = attention_by_part(kwargs["attn_implementation"])
        if kwargs.get("quantization_config") is not None:
            kwargs["quantization_config"] = quantise_llm_only(kwargs["quantization_config"])
        if path is None:
            return super().from_pretrained(path, *args, config=config, **kwargs)
        hub = {k: kwargs.pop(k) for k in ("cache_dir", "token", "local_files_only", "revision") if k in kwargs}
        checkpoint = read_checkpoint(cls, path, config, fresh, bool(trust_remote_code), **hub)
        origin, config = checkpoint.origin, checkpoint.config
        if not config.backbones:
            return super().from_pretrained(origin.path, *args, config=config, **origin.where, **kwargs)
        if "generation_config" not in kwargs and (file := origin.file(GENERATION_CONFIG_NAME)):
            kwargs["generation_config"] = GenerationConfig.from_pretrained(file.parent)
        return super().from_pretrained(None, *args, config=config, state_dict=checkpoint.tensors(), **kwargs)

    @classmethod
    def from_backbones(
        cls, config: WavLLMConfig, dtype: torch.dtype = torch.float32, trust: bool = False, **kwargs
    ) -> "WavLLMPreTrainedModel":
        """A model to be trained: pretrained backbones where `config.backbones` names them, the rest fresh."""
        if not config.backbones:
            return cls._from_config(config, dtype=dtype, **kwargs).eval()
        state = load_backbones(config, fresh=True, trust=trust)
        return super().from_pretrained(None, config=config, state_dict=state, dtype=dtype, **kwargs)

    def save_pretrained(
        self,
        path: str | os.PathLike,
        *args,
        full: bool | Collection[str] = False,
        state_dict: dict | None = None,
        **kwargs,
    ) -> None:
        """Save the trained tensors, and refer to the frozen backbones.

        Args:
            full: store these backbones too (names of `config.BACKBONES`); True: all, so that the folder needs nothing
                else.
        """
        state = self.state_dict() if state_dict is None else state_dict
        backbones = self.config.backbones or {}
        stored = backbones.keys() if full is True else full or ()
        referred = {part: entry for part, entry in backbones.items() if part not in stored}
        state = {k: v for k, v in state.items() if not is_backbone_tensor(k, referred)}
        self.config.backbones = anchored(referred)
        try:
            super().save_pretrained(Path(path), *args, state_dict=state, **kwargs)
            self._note_dtype(Path(path) / CONFIG_NAME, state)
            for file in Path(path).glob("*.safetensors"):  # which the library writes for the owner alone
                give_umask_modes(file)
        finally:
            self.config.backbones = backbones or None

    def _note_dtype(self, config: Path, state: Mapping[str, Tensor]) -> None:
        """Say in which precision the tensors are stored, not in which the frozen backbones were held while training.

        `from_pretrained` loads in it all but what it keeps in float32 anyway: trained float32 tensors are not to be
        rounded, nor a half-precision LLM to grow.
        """
        numbers = {name: tensor.dtype for name, tensor in state.items() if tensor.is_floating_point()}
        others = [n for n in numbers if not any(part in n for part in self._keep_in_fp32_modules_strict)]
        if config.is_file() and numbers:
            widest = max({numbers[name] for name in others or numbers}, key=lambda dtype: dtype.itemsize)
            content = json.loads(config.read_text(encoding="utf-8"))
            content["dtype"] = str(widest).removeprefix("torch.")
            config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def set_attn_implementation(self, attn_implementation: str | dict, *args: Any, **kwargs: Any) -> None:
        """As for any model of transformers; WavLM keeps its own attention."""
        super().set_attn_implementation(attention_by_part(attn_implementation), *args, **kwargs)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> nn.Module:
        """Resize the LLM's vocabulary.

        Raises:
            UsageError: the placeholder of speech would become a word.
        """
        if new_num_tokens is not None and new_num_tokens > self.config.audio_token_id:
            raise UsageError(
                f"With {new_num_tokens:,} words, id {self.config.audio_token_id}, the placeholder of speech, would be "
                "one of them: first set audio_token_id of the model's config and of the processor to a larger number."
            )
        return self.language_model.resize_token_embeddings(new_num_tokens, *args, **kwargs)


def attention_by_part(implementation: str | dict) -> dict:
    """One name for all parts, or a dict of names, as transformers wants it for parts that take different ones."""
    by_part = {"": implementation, "semantic_config": implementation, "text_config": implementation}
    given = implementation if isinstance(implementation, dict) else by_part
    return given | {"acoustic_config": "eager"}  # only a name: see model.wavlm.BlockwiseAttention
