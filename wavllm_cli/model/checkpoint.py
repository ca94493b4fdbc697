"""Looking at a checkpoint's files before anything of its size is allocated."""

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from wavllm_cli.data.origin import Origin, anchored, locate, refuse_code
from wavllm_cli.model.backbones import load_backbones
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.groups import is_backbone_tensor
from wavllm_cli.model.stored import explaining, on_meta, require_all, stored_shapes, stored_tensors, weight_files

Network = Callable[[WavLLMConfig], nn.Module]  # makes the network of a configuration; called without values


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files have been looked at: they name no code, and their tensors are the configuration's.

    Attributes:
        backbones: the tensors of the frozen backbones that it refers to.
    """

    origin: Origin
    config: WavLLMConfig
    files: list[Path]
    backbones: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        return self.backbones | stored_tensors(self.files)


def read_checkpoint(
    network: Network,
    path: str | os.PathLike,
    config: WavLLMConfig | None = None,
    fresh: str = "",
    trust: bool = False,
    revision: str | None = None,
    **hub,
) -> Checkpoint:
    """What a folder or hub repository holds, compared with what a network of its configuration needs.

    Args:
        config, fresh, trust: as for `WavLLMForConditionalGeneration.from_pretrained`.

    Raises:
        UsageError: the files name code, or a backbone's folder is missing.
        WavLLMError: the tensors are not those that the configuration describes.
    """
    origin = replace(locate(os.fspath(path), revision), options=hub)
    refuse_code(origin, trust)
    with explaining(f"The model {path} cannot be loaded"):
        folder = origin.file("config.json", required=True).parent  # type: ignore[union-attr]
        config = config or WavLLMConfig.from_pretrained(folder)
        config.backbones = anchored(config.backbones, folder)
        files = weight_files(origin)
        outline = require_described(network, config, files, fresh)
    referred = config.backbones or {}
    backbones = load_backbones(config, trust=trust) if referred else {}
    with explaining(f"The model {path} and the backbones that it refers to do not fit together"):
        known = outline.state_dict().keys()
        shapes = {name: tuple(tensor.shape) for name, tensor in backbones.items() if name in known}
        require_all(outline, shapes, lambda name: is_backbone_tensor(name, referred))
    return Checkpoint(origin, config, files, backbones)


def require_described(network: Network, config: WavLLMConfig, files: Sequence[Path], fresh: str = "") -> nn.Module:
    """The tensors in a checkpoint's files are those that its configuration describes.

    Returns:
        the network without values.

    Raises:
        WavLLMError: the end of a sentence, see `stored`.
    """
    referred = config.backbones or {}
    stored = stored_shapes(files)
    parts = (config.semantic_config, config.acoustic_config, config.text_config)
    outline = on_meta(lambda: network(deepcopy(config)), parts, stored)
    require_all(outline, stored, lambda name: not is_backbone_tensor(name, referred), fresh)
    return outline
