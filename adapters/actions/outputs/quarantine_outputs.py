"""Outputs that were set aside: it owns keeping their bytes and rows.

The files and the list of inputs lie in one batch of the store, so that a later reading, with a
repaired contract or parser, needs nothing of 3C. See replay_outputs.py for that reading.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapters.actions.contract.stage_model import StagedInput, pack_inputs
from adapters.actions.outputs.children import batch_name, store_files
from adapters.actions.outputs.tree import OWN_NAME, OutputFile, OutputTree
from adapters.records.errors import AdapterError
from adapters.records.listing import quarantine_path
from base.text import safe_text
from fsd import Client
from sql import QuarantineRow

if TYPE_CHECKING:
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.outputs.parse_outputs import Parsed, Trouble

KEPT_FILE_BYTES_MAX = 256 << 20
KEPT_BYTES_MAX = 1 << 30
"""Of one part; what is beyond is told and not kept."""
REASON_LENGTH_MAX = 1_000


def keep_troubles(
    client: Client,
    contract: ActionContract,
    parsed: Parsed,
    inputs: Sequence[StagedInput],
    prefix: str,
) -> tuple[list[QuarantineRow], str | None]:
    """Store what was set aside; returns the rows for the database and the batch that has it.

    Durable when it returns: a crash afterwards leaves objects that nobody refers to, and the same
    call finds them existing.
    """
    if not parsed.troubles:
        return [], None
    tree, paths = parsed.tree, _kept(contract, parsed)
    keys: dict[str, str] = {}
    batch: str | None = None
    if paths:
        listed = _write_inputs(tree, inputs)
        try:
            keys = store_files(client, listed, prefix, [*paths, OWN_NAME])
            batch = batch_name(listed, prefix, [*paths, OWN_NAME])
        finally:
            _remove_inputs(tree.root)
    return [_row(trouble, keys, tree) for trouble in parsed.troubles], batch


def _row(trouble: Trouble, keys: dict[str, str], tree: OutputTree) -> QuarantineRow:
    is_file = trouble.path in tree.files  # Not what has the name of our list, which has a key.
    reason, key = trouble.reason, keys.get(trouble.path) if is_file else None
    if key is None and is_file:
        reason += " (the file is too large, or too many were wrong, to be kept)"
    return QuarantineRow(
        path=quarantine_path(trouble.path),
        record_number=trouble.number,
        node_id=trouble.node_id,
        reason=safe_text(reason)[:REASON_LENGTH_MAX],
        key=key,
    )


def _kept(contract: ActionContract, parsed: Parsed) -> list[str]:
    """Return the files to keep, smallest first as far as the limit reaches."""
    files = parsed.tree.files
    wanted = {trouble.path for trouble in parsed.troubles} & files.keys()
    wanted |= set(parsed.named.values())
    assert contract.output_parser is not None
    for output in contract.output_parser.outputs:
        if wanted and output.class_names in files:
            wanted.add(output.class_names)
    kept, size = list[str](), 0
    for path in sorted(wanted, key=lambda path: (files[path].size_bytes, path)):
        size += files[path].size_bytes
        if files[path].size_bytes > KEPT_FILE_BYTES_MAX or size > KEPT_BYTES_MAX:
            break
        kept.append(path)
    return sorted(kept)


# ---- The list of inputs ----------------------------------------------------------------------


def _write_inputs(tree: OutputTree, inputs: Sequence[StagedInput]) -> OutputTree:
    """Write the inputs beside the outputs; returns the tree with that file, of a fixed time.

    The store takes one folder for one batch. What the program put under the name goes aside, where
    an attempt after a crash finds it.
    """
    path = os.path.join(tree.root, OWN_NAME)
    listed = pack_inputs(inputs)
    try:
        if OWN_NAME in tree.odd:
            _put_aside(path)
        _remove_inputs(tree.root)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(listed)
    except OSError as error:
        raise AdapterError(
            f"{safe_text(path)} cannot be written: {error.strerror}; put that right and retry"
        ) from error
    own = OutputFile(OWN_NAME, len(listed), 0, 0)
    return OutputTree(tree.root, {**tree.files, OWN_NAME: own})


def _put_aside(path: str) -> None:
    aside = path + ".of-the-program"
    while os.path.lexists(aside):
        aside += "~"
    os.rename(path, aside)


def _remove_inputs(root: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(root, OWN_NAME))
