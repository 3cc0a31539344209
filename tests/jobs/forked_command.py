"""The command line without its start: it owns running `drystone` in a fork of the test's process.

Everything is imported already, which is most of what a command costs. It is a process of its own
all the same: own arguments, environment, outputs and exit code. What the start itself does is
tested by those who run the program (tests/command.py).
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings

import drystone

PRELOADED = (
    "cli",
    "cli_gpu",
    "cli_jobs",
    "cli_label",
    "cli_queue",
    "cli_run",
    "cli_schedule",
    "cli_worker",
)


def run_forked(*arguments: str, config_path: str) -> subprocess.CompletedProcess[str]:
    """Run `drystone ARGUMENTS` with a configuration in the environment."""
    for name in PRELOADED:
        importlib.import_module(f"jobs.{name}")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _become(arguments, config_path, out.fileno(), err.fileno())
        _, status = os.waitpid(pid, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "surrogateescape"))
    return subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), *texts)


def _become(arguments: tuple[str, ...], config_path: str, out: int, err: int) -> None:
    """Be the program until its end; never returns."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - it lives as long as we do
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True
        )
        warnings.simplefilter("default")
        os.environ["DRYSTONE_CONFIG"] = config_path
        sys.argv = ["drystone", *arguments]
        drystone.main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        # Nothing of the test's own (connections, fixtures) is closed by a copy of it.
        os._exit(code)
