"""Children: it owns their limits, and how their files come into the store before anything else.

The store's answer is the truth: key and size of a child are what was stored, not what was listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapters.actions.outputs.parse_outputs import Parsed, Trouble
from adapters.actions.outputs.parse_readers import WHOLE_FILE
from adapters.records.errors import AdapterError, LimitError
from adapters.work.store_batch import store_batch, wait_for_former
from base.text import safe_text, size_text
from fsd import Client

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.contract.stage_model import StagedInput
    from adapters.actions.outputs.tree import OutputTree

COUNT_SCALE_PLACES = "child_limits.count_scale of the contract, or [actions] child_count_scale"


def check_children(loaded: LoadedContract, inputs: Sequence[StagedInput], parsed: Parsed) -> None:
    """Hold the children to their limits: in sum, then those of each input.

    Raises LimitError when all are more, or larger, than is allowed: which of too many would be the
    right ones, nobody can say. An input whose own children are too large keeps none, nor rows, and
    is in `parsed.refused`. A file that is a child of two inputs counts for both, in sum once.
    """
    size_bytes_max, count_max = child_bounds(loaded, inputs)
    sizes = {child.path: child.size_bytes for child in parsed.children}
    if len(parsed.children) > count_max:
        source = "the contract" if loaded.contract.child_limits.count_scale else "drystone.toml"
        raise LimitError(
            f"{len(parsed.children):,} children of {len(inputs):,} inputs; {source} allows "
            f"{count_max:,} ({COUNT_SCALE_PLACES})"
        )
    if sum(sizes.values()) > size_bytes_max:
        raise LimitError(
            f"children of {size_text(sum(sizes.values()))}; the contract allows "
            f"{size_text(size_bytes_max)} for these inputs (child_limits.bytes_scale)"
        )
    _refuse_swollen(loaded.contract, inputs, parsed)


def child_bounds(loaded: LoadedContract, inputs: Sequence[StagedInput]) -> tuple[int, int]:
    """Return how many bytes the children of these inputs may have together, and their number."""
    input_bytes = sum(item.size_bytes for item in inputs)
    size_bytes_max = int(loaded.contract.child_limits.bytes_scale * input_bytes)
    return size_bytes_max, int(loaded.count_scale * len(inputs))


def _refuse_swollen(
    contract: ActionContract, inputs: Sequence[StagedInput], parsed: Parsed
) -> None:
    """Take out what belongs to inputs whose own children are too large."""
    own: dict[int, dict[str, int]] = {}
    for child in parsed.children:
        own.setdefault(child.node_id, {})[child.path] = child.size_bytes
    for item in inputs:
        sizes = own.get(item.node_id, {})
        allowed = int(contract.child_limits.bytes_scale * item.size_bytes)
        if sum(sizes.values()) <= allowed:
            continue
        reason = (
            f"its children have {size_text(sum(sizes.values()))}, and {size_text(allowed)} is "
            "allowed for this input (child_limits.bytes_scale)"
        )
        parsed.refused[item.node_id] = Trouble(min(sizes), WHOLE_FILE, reason, item.node_id)
        parsed.rows.pop(item.node_id, None)
        parsed.seen.discard(item.node_id)
    parsed.children = [one for one in parsed.children if one.node_id not in parsed.refused]


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
