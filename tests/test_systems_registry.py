"""Systems by name."""

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.systems.base import Options, System
from wavllm_cli.systems.registry import SYSTEMS, open_system, system_class
from wavllm_cli.systems.windows import Windows


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_name_is_a_system(name):
    cls = system_class(name)
    assert issubclass(cls, System) and not cls.__abstractmethods__


def test_a_name_that_is_none_says_which_there_are():
    with pytest.raises(UsageError, match=r"no system 'wavlm' \(did you mean wavllm\?\); there are wavllm"):
        system_class("wavlm")


def test_a_system_is_opened_for_clips_of_any_length(answering):
    opened = open_system("wavllm", Options(str(answering / "model"), device="cpu"))
    assert isinstance(opened, Windows) and opened.name == str(answering / "model")
