from wavllm_cli.data.unchanged import holds


def test_a_file_holds_what_is_written_and_nothing_else(tmp_path):
    def write(file):
        file.write(b"ab")
        assert file.tell() == 2
        file.write(b"cd")

    path = tmp_path / "f"
    for content, expected in {b"abcd": True, b"abc": False, b"abcde": False, b"abxd": False, b"": False}.items():
        path.write_bytes(content)
        assert holds(path, write) is expected and path.read_bytes() == content
