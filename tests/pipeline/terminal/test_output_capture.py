import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from pipeline.terminal.output_capture import captured_output


def test_what_python_a_library_and_a_subprocess_write_goes_to_the_log_and_not_to_the_terminal(tmp_path: Path) -> None:
    # In a process of its own, as pytest puts something else in the place of standard output.
    code = textwrap.dedent(f"""
        import logging, os, subprocess, sys
        from pathlib import Path
        from pipeline.terminal.output_capture import captured_output
        print("before")
        with captured_output(Path({str(tmp_path)!r}) / "logs" / "run.log") as terminal:
            print("from print")
            os.write(2, b"from a C++ library\\n")
            subprocess.run([sys.executable, "-c", "print('from a subprocess')"], check=True)
            logging.getLogger("tfx").info("from logging")
            print("to the terminal", file=terminal)
        print("afterwards")
    """)
    ended = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert (ended.stdout, ended.stderr) == ("before\nafterwards\n", "to the terminal\n")
    log = (tmp_path / "logs" / "run.log").read_text()
    for text in ("from print", "from a C++ library", "from a subprocess", "INFO tfx: from logging"):
        assert log.count(text) == 1


def test_an_error_restores_the_terminal(tmp_path: Path, capfd) -> None:
    handlers = list(logging.getLogger().handlers)
    try:
        with captured_output(tmp_path / "run.log"):
            raise ValueError("inside")
    except ValueError:
        os.write(2, b"restored\n")
    assert capfd.readouterr().err == "restored\n"
    assert logging.getLogger().handlers == handlers
