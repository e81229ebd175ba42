"""The command line as tests call it: in a fresh process, or in this one."""

import os
import subprocess
import sys

from paths import ROOT

from mindrec.cli import main as cli


def mindrec(*arguments) -> subprocess.CompletedProcess:
    """A fresh process, as a person starts it."""
    return subprocess.run(
        [sys.executable, "-m", "mindrec", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "2", "COLUMNS": "200"},
        timeout=900,
        check=False,
    )


def done(*arguments) -> str:
    process = mindrec(*arguments)
    assert process.returncode == 0, process.stderr
    return process.stdout


def ours(*arguments) -> tuple[int, str, str]:
    """The same entry point within this process: starting one takes seconds."""
    import contextlib
    import io

    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["mindrec", *map(str, arguments)]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv = argv
    return code or 0, out.getvalue(), err.getvalue()


def refused(*arguments, look: bool = False) -> str:
    """The one line that a person reads; with `look`, after a look at the file that was refused."""
    code, out, err = ours(*arguments)
    assert code == 2, (code, out, err)
    lines = [line for line in err.splitlines() if line.strip()]
    assert (len(lines) > 1) == look, err
    assert lines[-1].startswith("error: "), err
    assert "Traceback" not in out
    return lines[-1]
