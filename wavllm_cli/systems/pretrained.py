"""A model of transformers that is a part of a system: found, looked at, loaded whole or not at all."""

from functools import cached_property
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from wavllm_cli.data.origin import Origin, locate, refuse_code
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.stored import explaining, on_meta, require_fit, stored_shapes, weight_files


class Pretrained:
    """One of the models that a system consists of.

    Args:
        role: what it is there for, as sentences call it: "recogniser".
        name: folder or hub id.
        trust: run code that its files bring along.

    Raises:
        UsageError: there is no such model, or its files name code.
        WavLLMError: it cannot be fetched.
    """

    def __init__(self, role: str, name: str, trust: bool):
        self.role, self.name, self.trust = role, name, trust
        with self.explaining():
            self.origin: Origin = locate(name)
            refuse_code(self.origin, trust)
            self.origin.file("config.json", required=True)

    @cached_property
    def config(self) -> PreTrainedConfig:
        """Its configuration.

        Raises:
            UsageError, WavLLMError: it cannot be read.
        """
        with self.explaining():
            return AutoConfig.from_pretrained(self.origin.path, trust_remote_code=self.trust, **self.origin.where)

    def explaining(self) -> Any:
        """Whatever goes wrong while it is read becomes one sentence."""
        return explaining(f"The {self.role} {self.name} cannot be loaded")

    def tokenizer(self) -> PreTrainedTokenizerBase:
        with self.explaining():
            return AutoTokenizer.from_pretrained(self.origin.path, trust_remote_code=self.trust, **self.origin.where)

    def processor(self) -> Any:
        """Its processor; of a model without one whatever there is in its place, such as a tokenizer."""
        with self.explaining():
            return AutoProcessor.from_pretrained(self.origin.path, trust_remote_code=self.trust, **self.origin.where)

    def model(self, kind: Any, dtype: torch.dtype, device: str) -> PreTrainedModel:
        """The network on its device, ready to answer.

        Args:
            kind: its class, or one of the Auto classes.

        Raises:
            UsageError: it cannot be moved there.
            WavLLMError: tensors are missing, or are not those that its configuration describes.
        """
        build = getattr(kind, "from_config", kind)
        with self.explaining():
            stored = stored_shapes(weight_files(self.origin, pickled=True))
            outline = on_meta(lambda: build(self.config), [self.config], stored)
            require_fit(outline, stored, {}, hasattr(self.config, "quantization_config"))
            model, report = kind.from_pretrained(
                self.origin.path,
                config=self.config,
                dtype=dtype,
                output_loading_info=True,
                trust_remote_code=self.trust,
                **self.origin.where,
            )
            if missing := sorted(report["missing_keys"]):
                raise WavLLMError(f"{len(missing)} of its tensors are missing (first: {missing[0]}).")
        try:
            return model.eval().to(device)
        except RuntimeError as error:
            raise UsageError(f"The {self.role} cannot be moved to device {device!r}: {error}") from error
