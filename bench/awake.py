"""Processors that never sleep while something is timed by emulated drives.

The idle processors of a virtual machine are taken away, and come back milliseconds late: so would
every answer of a drive. A process for each of them, of the kernel's idle class, keeps it; whoever
else wants that processor has it at once.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator

# It ends with its input, whatever happens to us.
SPIN = """
import select
while not select.select([0], [], [], 0)[0]:
    for _ in range(100_000):
        pass
"""


@contextlib.contextmanager
def awake() -> Generator[list[int]]:
    """Within, no processor sleeps; yields the processes that see to it."""
    with contextlib.ExitStack() as stack:
        pids: list[int] = []
        for _ in os.sched_getaffinity(0):
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE)
            )
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
            stack.callback(process.kill)  # Which waits for nothing but a moment of its processor.
            pids.append(process.pid)
        yield pids
