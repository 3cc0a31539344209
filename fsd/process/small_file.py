"""Small files that are written whole: it owns how one is replaced and how its JSON is read.

It knows nothing of what the files say, and no file that grows.
"""

import json
import os
from typing import Any


def sync_folder(path: str) -> None:
    """Make the entries of a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: str, content: bytes) -> None:
    """Put `content` in the place of a file; durable on return, a crash leaves the old or the new.

    It has one writer at a time: what is being written lies beside it with `.tmp` at its end.
    """
    with open(path + ".tmp", "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".tmp", path)
    sync_folder(os.path.dirname(path) or ".")


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says; ValueError for all that is none, also what is nested too deep.

    Bytes that are no UTF-8 are none either (UnicodeDecodeError is a ValueError).
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
