"""Background processes of ours: whoever lives long and starts many leaves no dead ones behind."""

from __future__ import annotations

import os

import pytest

from fsd.cli.daemons import daemon_process


def test_what_was_killed_is_reaped_by_the_next_start(short_tmp: str):
    """Whoever looked at it while its last threads ended found it dead, and did not reap it."""
    paths = [os.path.join(short_tmp, name) for name in ("pid", "log")]
    first = daemon_process.start(["-c", "pass"], *paths)
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    second = daemon_process.start(["-c", "pass"], *paths)
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOHANG)
    assert daemon_process.exit_status(first) == "ended with exit code 0"
    assert daemon_process.wait_ended(second, 20)
    assert daemon_process.exit_status(second) == "ended with exit code 0"
