"""What a system is asked: of a row what it may know."""

import numpy as np

from wavllm_cli.data.schema import Utterance
from wavllm_cli.systems.base import Item

SECRET = "the right answer"


def test_an_item_knows_nothing_of_the_answer():
    row = Utterance(
        id="a", audio="a.wav", task="st", prompt="Translate.", target=SECRET, references=[SECRET], transcript=SECRET,
        language="en", target_language="de", choices=["x", "y"], extra={"answer": SECRET},
    )  # fmt: skip
    item = Item.of(row, np.zeros(5, np.float32))
    assert (item.id, item.prompt, item.task, item.language) == ("a", "Translate.", "st", "en")
    assert (item.target_language, item.choices, item.length) == ("de", ("x", "y"), 5)
    assert SECRET not in repr(item)
    assert Item.of(row, None).length == 0
