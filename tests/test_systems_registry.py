"""Systems by name."""

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.systems.base import System
from wavllm_cli.systems.registry import SYSTEMS, system_class


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_name_is_a_system(name):
    cls = system_class(name)
    assert issubclass(cls, System) and not cls.__abstractmethods__


def test_a_name_that_is_none_says_which_there_are():
    with pytest.raises(UsageError, match=r"no system 'wavlm' \(did you mean wavllm\?\); there are wavllm"):
        system_class("wavlm")
