from pathlib import Path

from wavllm_cli.recipe.reference import reference

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"


def test_the_page_is_what_the_schema_says(wavllm):
    code, out, _ = wavllm("check", "--keys")
    assert code == 0
    assert out == PAGE.read_text(), "make it anew: wavllm check --keys > docs/recipes.md"


def test_every_key_has_its_type_range_default_and_meaning():
    page = reference()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 50 and not [row for row in rows if not (len(row) == 5 and row[1] and row[3])]
    assert not [row[0] for row in rows if not row[4].endswith(".")], "say in quotes under the key what it means"
    for line in (
        "| `rank` | whole number | from 1, to 4,096 | required |",
        "| `betas` | list of 2: number | from 0, below 1 | `[0.9, 0.98]` |",
        "| `precision` | `fp32`, `bf16` |  | required |",
        "| `acoustic_window` | number | from 20, to 86,400 | `60` |",
        "| `prompt_adapter` | section |  | absent |",
    ):
        assert line in page
    assert "## `stages[].mixture[]`, `stages[].curriculum[].mixture[]`" in page
