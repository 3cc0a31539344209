"""Room of the stage (3C): what a part takes of it, and whether it fits now, later, or never.

What one job may ever be promised there is the quota of the area, or of the partition what new jobs
may fill: the store says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from adapters.actions.contract.contract import ActionContract
    from fsd import Capacity, Client

AREA = "3c"
BLOCK_BYTES = 4_096
"""What the store reserves beside the bytes of each file."""
OUTPUT_SLACK_BYTES = 16 << 20
"""Beside children: logs, listings and records, so that tiny inputs may have them."""
OUTPUT_BYTES_MIN = 64 << 20
EMPTY_AREA_BYTES = 64 << 10
"""What the folders of an area occupy while nothing is in them."""
FULL = ("refuse", "emergency")


@dataclass(frozen=True, slots=True)
class Room:
    """Whether the largest part fits into the stage: now, once running work is done, or never."""

    verdict: Literal["fits", "waits", "never"]
    needed_bytes: int
    free_bytes: int | None
    """None when the stage has no quota; then the partition limits."""
    reason: str = ""


def output_bytes_max(contract: ActionContract, input_bytes: int) -> int:
    """Return how much a part may write, which is what is reserved for it."""
    written = contract.run_spec.output_bytes_max if contract.run_spec else None
    if any(o.child for o in contract.output_parser.outputs) if contract.output_parser else False:
        limit_bytes = int(input_bytes * contract.child_limits.bytes_scale) + OUTPUT_SLACK_BYTES
        return min(written, limit_bytes) if written else limit_bytes
    return written or max(OUTPUT_BYTES_MIN, input_bytes)


def needed_bytes(contract: ActionContract, input_bytes: int, staged_bytes: int, files: int) -> int:
    """Return what a part takes of the stage: its outputs, and its inputs where they are copied."""
    layout = contract.stage_layout
    is_copied = layout is not None and layout.mode == "copy"
    copied_bytes = staged_bytes + files * BLOCK_BYTES if is_copied else 0
    return output_bytes_max(contract, input_bytes) + copied_bytes


def limit_bytes(client: Client) -> int:
    """Return the most that one part may ever take."""
    return _limit_bytes(client.capacity())


def never_fits(part_bytes: int, limit: int) -> str:
    """Return why a part of this size fits never, or nothing when it does."""
    if part_bytes + EMPTY_AREA_BYTES <= limit:
        return ""
    return (
        f"one part needs {part_bytes:,} bytes and the stage may hold {limit:,}: "
        "lower batch_size_bytes or output_bytes_max in the contract, or raise stage_bytes"
    )


def room_for(client: Client, part_bytes: int) -> Room:
    """Say whether a part of this size fits as the stage is now."""
    capacity = client.capacity()
    area = next(one for one in capacity.areas if one.area == AREA)
    if reason := never_fits(part_bytes, limit := _limit_bytes(capacity)):
        return Room("never", part_bytes, limit, reason)
    free_bytes = None
    if area.quota_bytes:
        free_bytes = max(0, area.quota_bytes - area.used_bytes - area.reserved_bytes)
    is_full = area.refuses or capacity.partition_state in FULL
    if is_full or (free_bytes is not None and part_bytes > free_bytes):
        reason = "the stage is taken by other work; it would wait for room (WAIT_SPACE)"
        return Room("waits", part_bytes, free_bytes, reason)
    return Room("fits", part_bytes, free_bytes)


def _limit_bytes(capacity: Capacity) -> int:
    return next(one.limit_bytes for one in capacity.areas if one.area == AREA)
