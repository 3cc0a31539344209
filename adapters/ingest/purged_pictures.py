"""Pictures of what was purged, in the cache on the SSD that the pages and the port make: removed.

    SSD/thumbnails/KK/KEY-...    whatever was made of the object KEY; KK are its first two digits

Whoever makes a picture looks behind it whether the object is still there, so none comes after this.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence

FOLDER = "thumbnails"
_MADE_OF = re.compile(r"([0-9a-f]{64})[.-].*(?<!\.tmp)")


def remove_purged(ssd: str, known: Callable[[Sequence[str]], set[str]]) -> int:
    """Remove what was made of objects that the store has no more; returns how many files.

    `known` returns those of the keys that it has.
    """
    made: dict[str, list[str]] = {}
    for folder, _, names in os.walk(os.path.join(ssd, FOLDER)):
        for name in names:
            if found := _MADE_OF.fullmatch(name):
                made.setdefault(found[1], []).append(os.path.join(folder, name))
    gone = made.keys() - known(list(made))
    paths = [path for key in gone for path in made[key]]
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    return len(paths)
