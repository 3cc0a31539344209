"""Changes of many nodes, in parts of bounded size: each part is a write-intent of its own."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator

from base.errors import DrystoneError
from sql.core.errors import PartlyDoneError

PART_NODES = 20_000


def in_parts(
    name: str,
    keys: Iterator[str],
    change: Callable[[str, list[str]], int],
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Change nodes; returns how many. `change` gets the id of an intent, and the keys of a part.

    The ids come once: an intent that is named by what it does would be skipped where that is
    undone and done again. A failure after the first part is a PartlyDoneError.
    """
    command = uuid.uuid4().hex
    done = number = 0
    try:
        while part := list(itertools.islice(keys, PART_NODES)):
            done += change(f"{name}-{command}-{number}", part)
            number += 1
            progress(done)
    except DrystoneError as error:
        if not done:
            raise
        raise PartlyDoneError(done, str(error)) from error
    return done
