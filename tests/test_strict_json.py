import json
import math

import pytest

from wavllm_cli import strict_json


def test_numbers_that_json_does_not_have_become_null():
    value = {"a": math.nan, "b": [1, -math.inf, {"c": (math.inf, 2.5)}], "d": "NaN"}
    assert strict_json.dumps(value) == '{"a": null, "b": [1, null, {"c": [null, 2.5]}], "d": "NaN"}'
    assert strict_json.dumps({"ü": 1}, indent=1) == '{\n "ü": 1\n}'
    assert json.loads(strict_json.dumps("ü\udcff", ascii=True)) == "ü\udcff"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": {"a": 2}, "a": 3}', 'key "a" occurs twice in an object .at character 29.'),
        ("[" * 3000 + "]" * 3000, "nested more than 200 levels deep at character 202"),
        ('{"a": 1', "EOF"),
    ],
)
def test_what_is_ambiguous_or_bottomless_is_no_json(text, said):
    with pytest.raises(ValueError, match=said):
        strict_json.loads(text)
    assert strict_json.loads(b'{"a": [{"b": 1}, {"b": 1.5}]}') == {"a": [{"b": 1}, {"b": 1.5}]}
