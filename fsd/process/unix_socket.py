"""Unix sockets by paths of any length: it owns the way round the kernel's limit of 107 bytes."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

PATH_SIZE_BYTES_MAX = 107


@contextmanager
def reachable(path: str) -> Generator[str]:
    """Yield a path that `bind` and `connect` take: the given one, or one through a descriptor.

    Raises OSError when the folder of a long path cannot be opened.
    """
    if len(os.fsencode(path)) <= PATH_SIZE_BYTES_MAX:
        yield path
        return
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
