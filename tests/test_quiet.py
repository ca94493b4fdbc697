import ctypes
import sys

from wavllm_cli.data.quiet import c_stderr_silenced


def test_c_code_is_silent_and_python_is_not(capfd):
    library = ctypes.CDLL(None)

    def say(text: bytes) -> None:
        library.fprintf(ctypes.c_void_p.in_dll(library, "stderr"), text)

    with c_stderr_silenced():
        with c_stderr_silenced():
            say(b"never heard\n")
        say(b"never heard either\n")
        print("python", file=sys.stderr)
    say(b"heard again\n")
    err = capfd.readouterr().err
    assert "python" in err and "heard again" in err and "never heard" not in err
