"""The order of a run with several processes: it owns which tests begin early, and nothing else.

Each process starts with its share of the tests that take longest and goes on with a part of the
tree, so that what a module's tests share is made by few of them; who has nothing left takes from
the others. How long a test takes is a mark of its own; one that is out of date costs nothing but
time.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

MARK = "seconds(quiet, long_form=...): takes ten seconds or more on a quiet machine"


def spread(items: list[pytest.Item], processes: int, *, is_long_form: bool = False) -> None:
    """Sort the tests so that an even share of the long ones is first in each process's part."""
    if processes < 2:
        return
    found = [(seconds(item, is_long_form=is_long_form), item) for item in items]
    # Sorting is stable: every process of a run gets the same order.
    longest = sorted((one for one in found if one[0]), key=lambda one: -one[0])
    shares: list[list[pytest.Item]] = [[] for _ in range(processes)]
    loads = [0.0] * processes
    for length_s, item in longest:
        place = loads.index(min(loads))
        shares[place].append(item)
        loads[place] += length_s
    rest = [item for length_s, item in found if not length_s]
    items[:] = _join(shares, rest, len(items))


def _join(
    shares: Sequence[list[pytest.Item]], rest: list[pytest.Item], total: int
) -> list[pytest.Item]:
    """Return all tests in parts of equal length, as they are given out, each begun by a share."""
    ordered: list[pytest.Item] = []
    taken = 0
    for place, share in enumerate(shares):
        length = (total - len(ordered)) // (len(shares) - place)
        count = max(0, length - len(share))
        ordered += share + rest[taken : taken + count]
        taken += count
    return ordered + rest[taken:]


def seconds(item: pytest.Item, *, is_long_form: bool) -> float:
    """Return what its mark says; 0 where it has none."""
    mark = item.get_closest_marker("seconds")
    if mark is None:
        return 0.0
    (quiet,) = mark.args
    return mark.kwargs.get("long_form", quiet) if is_long_form else quiet
