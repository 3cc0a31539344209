"""Runs somebody else's short command (smartctl, an alert, a wake-up) so that none of it stays.

    caller --starts--> runner --starts--> command and whatever that starts

The runner is a subreaper: a command that does not end in time is killed with all that came from it,
in whichever session or process group, also when the caller has died meanwhile. A command that ends
in time is believed: what it leaves running on purpose (a tunnel, an agent) is left alone.
Never reads what a command means. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from base.processes import descendants

SAID_BYTES_MAX = 16 << 20
"""A command that writes more is ended: it would fill the memory until its time is over."""
LOOK_S = 0.2
MARGIN_S = 5.0
"""So much longer than the command's time the runner may take, its own start and end included."""
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_RUNNER = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from base.processes import run_command; run_command.main()"
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), or `problem`, why there is none.

    `said` is the end of what it wrote, at most `said_bytes_max` bytes.
    """

    code: int | None
    said: bytes = b""
    problem: str = ""


def run_command(
    argv: Sequence[str], timeout_s: float, *, given: bytes = b"", said_bytes_max: int = 500
) -> Ended:
    """Run a command without a shell, `given` on its stdin, to its end or its timeout."""
    orders = {"argv": list(argv), "timeout_s": timeout_s}
    with (
        # Files, not pipes: what a command leaves behind may go on writing and keeps nobody waiting.
        # In memory: that a disk is full may be just what somebody is to be told.
        _memory_file("given") as inlet,
        _memory_file("said") as outlet,
    ):
        inlet.write(given)
        inlet.seek(0)
        try:
            runner = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _RUNNER, ROOT, json.dumps(orders)],
                stdin=inlet,
                stdout=subprocess.PIPE,
                stderr=outlet,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Ended(None, problem=f"cannot be run: {error}")
        report = _report(runner, timeout_s + descendants.KILL_S + MARGIN_S)
        outlet.seek(max(0, outlet.seek(0, os.SEEK_END) - said_bytes_max))
        return Ended(report.get("code"), outlet.read(said_bytes_max), report.get("problem", ""))


def _memory_file(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "w+b")


def _report(runner: subprocess.Popen[bytes], within_s: float) -> dict[str, Any]:
    """Return what the runner has to say; bounded, should it hang in the kernel itself."""
    try:
        text, _ = runner.communicate(timeout=within_s)
        return json.loads(text)
    except (subprocess.TimeoutExpired, ValueError):
        runner.kill()
        return {"problem": "was not seen to end"}
    finally:
        if runner.stdout:
            runner.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(1.0)


def main() -> None:
    """Run the command of the orders in argv; writes one JSON document to stdout."""
    orders = json.loads(sys.argv[2])
    descendants.become_subreaper()
    try:
        command = subprocess.Popen(
            orders["argv"],
            stdout=2,
            cwd="/",
            start_new_session=True,
            preexec_fn=descendants.die_with_parent,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        answer: dict[str, object] = {"problem": f"cannot be run: {error}"}
    else:
        problem = _wait(command.pid, orders["timeout_s"])
        if problem:
            descendants.kill_all(os.getpid())
            answer = {"problem": problem}
        else:
            answer = {"code": command.wait()}
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(answer).encode())


def _wait(pid: int, timeout_s: float) -> str:
    """Wait for the end of the command; returns '' or why it has to be ended."""
    descriptor = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while not poll.poll(1000 * max(0.0, min(deadline - time.monotonic(), LOOK_S))):
        if time.monotonic() >= deadline:
            return f"did not end within {timeout_s:g} s"
        if os.fstat(2).st_size > SAID_BYTES_MAX:
            return f"wrote more than {SAID_BYTES_MAX:,} bytes"
    return ""
