"""The model that `wavllm infer` takes where the command names none: the user's choice, in the user's settings."""

import os
from pathlib import Path
from typing import Any

import yaml

from wavllm_cli.data.files import write_text
from wavllm_cli.data.known_models import catalogue
from wavllm_cli.data.origin import locate
from wavllm_cli.errors import UsageError, reason

VARIABLE = "WAVLLM_MODEL"


def settings_file() -> Path:
    """By the XDG base directories."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "wavllm", "config.yaml").absolute()


def default_model() -> tuple[str, str] | None:
    """The model and who has set it: the environment, else the settings; None if neither has."""
    if named := os.environ.get(VARIABLE):
        return named, f"${VARIABLE}"
    named = _settings().get("model")
    return (named, str(settings_file())) if named else None


def set_default(name: str | None) -> None:
    """Write the choice down; None takes it back.

    Raises:
        UsageError: there is no such folder, or the name is that of a part which cannot answer about audio by itself.
    """
    settings = _settings()
    settings.pop("model", None)
    if name is not None:
        settings["model"] = _meant(name)
    write_text(settings_file(), yaml.safe_dump(settings, allow_unicode=True))


def _meant(name: str) -> str:
    """A folder by its absolute path, so that it means the same from everywhere; other names as they are."""
    if model := catalogue().get(name):
        if not model.bundled:
            raise UsageError(f"{name} {model.use}; it is no model that answers about audio by itself.")
        if not model.present:
            raise UsageError(model.absent)
        return name
    origin = locate(name)
    if origin.local:
        origin.file("config.json", required=True)
    return origin.path


def _settings() -> dict[str, Any]:
    file = settings_file()
    if not file.exists():
        return {}
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"The settings in {file} cannot be read: {reason(error)}.") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model", ""), str):
        raise UsageError(f"The settings in {file} are not `key: value` lines with a model's name as `model`.")
    return settings
