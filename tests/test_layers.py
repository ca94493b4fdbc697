"""The house plan as a test: imports point down the list of layers, and light modules stay light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "wavllm_cli"
LAYERS = [
    {"errors"},
    {"strict_json", "grid"},
    {"console", "help"},
    {"process"},
    {"text"},
    {"tasks"},
    {"recipe"},
    {"data"},
    {"chat", "prompts.pools"},
    {"speech"},
    {"corpora", "prompts", "scoring"},
    {"audit"},
    {"model"},
    {"models"},
    {"systems"},
    {"training", "inference", "convert"},
    {"bench", "mini"},
    {"cli"},
]
HEAVY = {"torch", "transformers", "datasets", "torchaudio", "peft", "accelerate"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def layer(module: str) -> int:
    """The layer of `scoring.metrics`, by its longest prefix in LAYERS."""
    parts = module.split(".")
    for size in (2, 1):
        for number, names in enumerate(LAYERS):
            if ".".join(parts[:size]) in names:
                return number
    raise AssertionError(f"{module} belongs to no layer")


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p.stem not in {"__init__", "__main__"})


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_down(path):
    own = module_of(path)
    for name in imports(path):
        if name.startswith("wavllm_cli.") and name != "wavllm_cli.__version__":
            target = name.removeprefix("wavllm_cli.")
            same_part = target.split(".")[0] == own.split(".")[0]
            assert same_part or layer(target) < layer(own), f"{own} imports {target}"


def test_torchaudio_fits_torch():
    """A torchaudio built for another torch breaks peft and transformers when they import it."""
    import peft  # noqa: F401
    import torch
    import torchaudio

    assert [module.__version__.split("+")[0] for module in (torch, torchaudio)] == ["2.11.0", "2.11.0"]


# In this order in one process: what an import needs must be light for those after it as well.
LIGHT = {
    "import wavllm_cli.corpora.registry": HEAVY | {"numpy", "soundfile", "pydantic", "pyarrow"},
    "import wavllm_cli.cli": HEAVY | {"numpy", "pydantic", "soundfile"},
    "import wavllm_cli.text.normalize, wavllm_cli.text.words, wavllm_cli.text.language": (
        HEAVY | {"numpy", "py3langid", "rapidfuzz"}
    ),
    "import wavllm_cli.scoring, wavllm_cli.scoring.command": (
        HEAVY | {"numpy", "jiwer", "sacrebleu", "openai", "jinja2", "rouge_score"}
    ),
    "import wavllm_cli.scoring.scores, wavllm_cli.scoring.metrics.wer": HEAVY,
    "import wavllm_cli.recipe, wavllm_cli.data.manifest, wavllm_cli.data.audio, wavllm_cli.speech.espeak": HEAVY,
    "import wavllm_cli.mini.fsdd, wavllm_cli.corpora.librispeech": HEAVY,
    "import wavllm_cli.systems.asking, wavllm_cli.systems.registry, wavllm_cli.inference.command": HEAVY,
    "import wavllm_cli.prompts, wavllm_cli.prompts.multitask": HEAVY | {"openai"},
    "import wavllm_cli.chat.session": HEAVY | {"openai"},
    "import wavllm_cli.mini.release, wavllm_cli.mini.demo, wavllm_cli.mini.lesson": HEAVY,
    "from wavllm_cli.text.normalize import NORMALIZERS; [f('One.') for f in NORMALIZERS.values()]": {"torch"},
    "import wavllm_cli.convert.tokenizer": {"torch"},
}


def test_light_modules_import_nothing_heavy():
    code = "import json, sys\n" + "".join(f"{line}\nprint(json.dumps([*sys.modules]))\n" for line in LIGHT)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = zip(LIGHT.items(), map(json.loads, shown.splitlines()), strict=True)
    assert not {line: found for (line, forbidden), modules in loaded if (found := forbidden & set(modules))}
