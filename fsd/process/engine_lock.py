"""One engine at a time: it owns the lock of the run folder, and what a killed engine left there."""

import fcntl
import os
import shutil

from base.errors import UsageError


def lock_engine(path: str) -> int:
    """Take the lock file of a store; returns its descriptor, UsageError when it is taken."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise UsageError("an engine of this store runs already; see `drystone status`") from None
    return fd


def remove_scratch(run_dir: str) -> None:
    """Delete the folders of jobs that ended with their engine."""
    for name in os.listdir(run_dir):
        if name.startswith("job-"):
            shutil.rmtree(os.path.join(run_dir, name), ignore_errors=True)
