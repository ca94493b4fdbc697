from io import BytesIO

from wavllm_cli.data.mapped import scanned


def test_a_file_is_looked_through_again_when_it_has_changed(tmp_path):
    seen = []

    def walk(content, more):
        seen.append(bytes(content[:]))
        return len(content) + more

    (tmp_path / "x").write_bytes(b"abc")
    for _ in range(2):
        with (tmp_path / "x").open("rb") as file:
            assert scanned(file, walk, 1) == 4
    (tmp_path / "x").write_bytes(b"abcd")
    with (tmp_path / "x").open("rb") as file:
        assert scanned(file, walk, 1) == 5
    assert scanned(BytesIO(b"e"), walk, 0) == 1
    assert seen == [b"abc", b"abcd", b"e"]
