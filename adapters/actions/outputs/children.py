"""Children: it owns their limits, and how their files come into the store before anything else.

The store's answer is the truth: key and size of a child are what was stored, not what was listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.records.errors import AdapterError, LimitError
from adapters.work.store_batch import store_batch, wait_for_former
from base.text import safe_text, size_text
from fsd import Client

if TYPE_CHECKING:
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.contract.stage_model import StagedInput
    from adapters.actions.outputs.parse_outputs import ChildFile
    from adapters.actions.outputs.tree import OutputTree


@dataclass(frozen=True, slots=True)
class ChildBounds:
    """What the children of a part may be together."""

    count_max: int
    size_bytes_max: int


def child_bounds(contract: ActionContract, input_count: int, input_bytes: int) -> ChildBounds:
    """Return the limits for so many inputs; a runner may stop a program that exceeds them."""
    limits = contract.child_limits
    return ChildBounds(int(limits.count_scale * input_count), int(limits.bytes_scale * input_bytes))


def check_children(
    contract: ActionContract, inputs: Iterable[StagedInput], children: Iterable[ChildFile]
) -> None:
    """Raise LimitError when the children are more, or larger, than the contract allows.

    All of the part or nothing: which of too many would be the right ones, nobody can say. A file
    that is a child of two inputs counts once for its bytes.
    """
    listed = list(inputs)
    bounds = child_bounds(contract, len(listed), sum(item.size_bytes for item in listed))
    count, sizes = 0, dict[str, int]()
    for child in children:
        count += 1
        sizes[child.path] = child.size_bytes
    if count > bounds.count_max:
        raise LimitError(
            f"{count:,} children of {len(listed):,} inputs; the contract allows "
            f"{bounds.count_max:,} (child_limits.count_scale)"
        )
    size = sum(sizes.values())
    if size > bounds.size_bytes_max:
        raise LimitError(
            f"children of {size_text(size)}; the contract allows {size_text(bounds.size_bytes_max)}"
            " for these inputs (child_limits.bytes_scale)"
        )


def store_files(client: Client, tree: OutputTree, prefix: str, paths: list[str]) -> dict[str, str]:
    """Store listed files as generated, two verified copies, and return their keys by path.

    The same files make the same batch, so that a repetition finds them existing; other content
    makes another one. AdapterError when any of them is not stored as it was listed.
    """
    if not paths:
        return {}
    batch = batch_name(tree, prefix, paths)
    # A run that was killed left its job in the engine: let it end, then find everything existing.
    wait_for_former(client, [batch])
    store_batch(client, tree.root, batch, paths, "generated")
    wanted, keys = set(paths), dict[str, str]()
    for file in client.batch_files(batch):
        if file.path in wanted:
            if file.size_bytes != tree.files[file.path].size_bytes:
                raise AdapterError(
                    f"{safe_text(file.path)} was listed with {tree.files[file.path].size_bytes:,} "
                    f"bytes and stored with {file.size_bytes:,}: the program still writes"
                )
            keys[file.path] = file.key
    if len(keys) < len(wanted):
        raise AdapterError(
            f"{len(wanted) - len(keys):,} outputs, such as {safe_text(min(wanted - keys.keys()))}, "
            f"are not in batch {batch} of the store"
        )
    return keys


def batch_name(tree: OutputTree, prefix: str, paths: list[str]) -> str:
    """Return the name of the store's batch for these files as they are."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(paths):
        listed = tree.files.get(path)
        digest.update(repr((path, listed and (listed.size_bytes, listed.mtime_ns))).encode())
    return f"{prefix}-{digest.hexdigest()}"
