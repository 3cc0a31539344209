"""Draws of disks that follow each other: it owns what each disk has had of them, and draws nothing.

Single draws (see `placement`) give each disk its share of thousands of shards, and of a dozen one
disk twice as much as another: a put then waits for that one, and so does reading it. Of a few draws
the one is taken whose disks are furthest behind what they should have had by now.
"""

import random
import threading
from collections.abc import Sequence

from fsd.planning.placement import DiskSpace, choose_disks, expected_shares

DRAWS = 4
"""Of two the disks of a put of a dozen shards end a fifth sooner already; of four, a quarter. Which
disks come together stays as random as with one: a disk that dies is rebuilt from all the others."""


class FairDraws:
    """One series of draws. Safe to use from several threads; forgotten with the engine."""

    def __init__(self) -> None:
        # Guards `_behind_bytes`. Innermost.
        self._lock = threading.Lock()
        self._behind_bytes: dict[str, float] = {}

    def choose(
        self,
        spaces: Sequence[DiskSpace],
        copies: int,
        size_bytes: int,
        rng: random.Random,
        *,
        allow_same_domain: bool = False,
    ) -> tuple[str, ...]:
        """Choose like `choose_disks`, which see."""
        draws = [
            choose_disks(spaces, copies, size_bytes, rng, allow_same_domain=allow_same_domain)
            for _ in range(DRAWS)
        ]
        shares = expected_shares(spaces, copies, size_bytes, allow_same_domain=allow_same_domain)
        with self._lock:
            behind = self._behind_bytes
            for disk_id, share in shares.items():
                behind[disk_id] = behind.get(disk_id, 0.0) + share * size_bytes
            chosen = max(draws, key=lambda draw: sum(behind[disk_id] for disk_id in draw))
            for disk_id in chosen:
                behind[disk_id] -= size_bytes
        return chosen
