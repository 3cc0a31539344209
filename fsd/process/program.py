"""Running somebody else's program: it owns the timeout and the end of it, not what it is for.

No shell, an input that may be empty, output kept up to a limit, and never a wait without a limit:
a program that hangs in the kernel (smartctl on a dead disk) is killed and left behind, not joined.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

OUTPUT_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: `code` None when it was killed; `problem` when it could not be run at all."""

    code: int | None
    output: str
    problem: str = ""


def run_program(arguments: Sequence[str], timeout_s: float, stdin: bytes = b"") -> Outcome:
    """Run a program to its end or its timeout; output and error output come back together."""
    # In memory: an alert that the disk is full must not need room on it.
    with open(os.memfd_create("input"), "w+b") as inlet, _outlet() as outlet:
        inlet.write(stdin)
        inlet.seek(0)
        try:
            # Files and not pipes: a grandchild that keeps a pipe open must not keep us.
            child = subprocess.Popen(
                list(arguments),
                stdin=inlet,
                stdout=outlet,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Outcome(None, "", str(error))
        problem = ""
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code, problem = None, f"it did not end within {timeout_s:g} s"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(1.0)
        outlet.seek(0)
        output = outlet.read(OUTPUT_BYTES_MAX).decode("utf-8", "replace")
    return Outcome(code, output, problem)


def _outlet() -> IO[bytes]:
    """Return a file for the output, which is dropped where none can be made."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")
