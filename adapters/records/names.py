"""What a batch is called in the store: it owns the names of what is kept beside its files.

    <batch>                 the files as they were scraped
    <batch>.derived         what describing them made: records, extracted files, the listing
    <batch>.fixed-<run>     all repaired files as of one replay, in the place of those of the batch
    <batch>.derived-<run>   what that replay made and the batch did not have

A run is 16 hexadecimal digits that sort by time.
"""

from __future__ import annotations

DERIVED_SUFFIX = ".derived"
FIXED_INFIX = ".fixed-"


def derived_batch(batch: str, run: str | None = None) -> str:
    """Return where the store has what was made of a batch, or by one replay of it."""
    return batch + DERIVED_SUFFIX + (f"-{run}" if run else "")


def fixed_batch(batch: str, run: str) -> str:
    """Return where the store has the repaired files of a replay."""
    return batch + FIXED_INFIX + run
