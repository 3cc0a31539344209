"""Dry run: it owns telling what an action would do, without staging, running or writing anything.

How many nodes and bytes, where every file would lie, the exact command, how many children there
may be, and whether the stage has room for the parts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.contract.stage_model import LeftOut, StagedPart
from adapters.actions.run.tagging import explain_tagging
from adapters.actions.stage.batch import next_of, selector_of, verify_sealed
from adapters.actions.stage.command import RenderedRun, rendered_command, shown_models
from adapters.actions.stage.parts import ActionPart, cut_for
from adapters.actions.stage.room import (
    Room,
    limit_bytes,
    needed_bytes,
    output_bytes_max,
    room_for,
)
from adapters.actions.stage.stage_tree import lay_out
from base.errors import UsageError
from sql import Explanation  # Not for types alone: a dry run becomes JSON by its fields' types.

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.actions.contract.check import LoadedContract
    from fsd import Client
    from sql import Database, Selector


@dataclass(slots=True)
class DryRun:
    """What an action would do. Sizes in bytes, of what is left to do."""

    action: str
    nodes: int = 0
    nodes_done: int = 0
    """Of the batch, done already by the same work; they would not be run again."""
    size_bytes: int = 0
    parts: int = 0
    staged_files: int = 0
    staged_bytes: int = 0
    output_bytes_max: int = 0
    children_max: int | None = None
    """None for an action that makes none."""
    children_bytes_max: int | None = None
    paths: list[tuple[int | None, str]] = field(default_factory=list[tuple[int | None, str]])
    """Node (None for a listing) and path below the stage area, the first ones of all."""
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    command: RenderedRun | None = None
    """Of the first part."""
    room: Room | None = None
    computed: Explanation | None = None
    """The SQL of computed columns of a tag (AC1)."""


def dry_run(
    client: Client,
    database: Database,
    loaded: LoadedContract,
    selector: Selector | None = None,
    action_batch_id: int | None = None,
    parameters: dict[str, Any] | None = None,
    *,
    nodes_max: int | None = None,
    paths_max: int | None = 200,
) -> DryRun:
    """Say what the action would do with a batch, or with what a selector finds.

    `paths` has the first `paths_max` of them, or all. An action that stages nothing is only
    counted.
    """
    contract = loaded.contract
    values = checked_parameters(contract, parameters)
    report = DryRun(contract.name)
    batch = "BATCH" if action_batch_id is None else str(action_batch_id)
    area = next(one.path for one in client.capacity().areas if one.area == "3c")
    largest_bytes = 0
    limit = limit_bytes(client) if contract.stage_layout is not None else 0
    if action_batch_id is None:
        parts = _parts_of_new(database, loaded, selector, nodes_max, report, limit)
    else:
        parts = _parts_of_batch(database, loaded, action_batch_id, values, report, limit)
    for part in parts:
        report.parts += 1
        report.nodes += len(part.node_ids)
        report.size_bytes += part.size_bytes
        if contract.stage_layout is None:
            continue
        laid = lay_out(database, contract, part.number, part.node_ids, values)
        root = f"3c/{batch}/{contract.stage_layout.layout_id}/RUN-{part.number}"
        for entry in laid.entries:
            path = f"{root}/{entry.path}"
            if paths_max is None or len(report.paths) < paths_max:
                report.paths.append((entry.node_id, path))
        written_bytes = output_bytes_max(contract, laid.input_bytes)
        sizes = (laid.input_bytes, laid.staged_bytes, len(laid.entries))
        largest_bytes = max(largest_bytes, needed_bytes(contract, *sizes))
        report.staged_files += len(laid.entries)
        report.staged_bytes += laid.staged_bytes
        report.output_bytes_max += written_bytes
        report.left_out += laid.left_out
        if report.command is None and contract.run_spec is not None:
            where = os.path.join(os.path.dirname(area), root)
            staged = _would_be(
                action_batch_id or 0, where, part, contract.stage_layout.mode, written_bytes
            )
            report.command = rendered_command(loaded, staged, values, shown_models(loaded))
    report.computed = explain_tagging(database, loaded)
    _children(loaded, report)
    if contract.stage_layout is not None:
        report.room = room_for(client, largest_bytes)
    return report


def _parts_of_new(
    database: Database,
    loaded: LoadedContract,
    selector: Selector | None,
    nodes_max: int | None,
    report: DryRun,
    limit: int,
) -> Iterator[ActionPart]:
    contract, found = loaded.contract, selector_of(selector, loaded)
    if nodes_max is None:
        rows = database.query_nodes(found)
    else:
        rows = next_of(database, selector, loaded, nodes_max)
    sizes = [(row.node_id, row.size_bytes or 0) for row in rows]
    if not sizes:
        if nodes_max is not None:
            report.nodes_done = database.aggregate(found).count
        if not report.nodes_done:
            raise UsageError(f"the selector finds no node that {contract.name} can work on")
    return cut_for(contract, sorted(sizes), limit)


def _parts_of_batch(
    database: Database,
    loaded: LoadedContract,
    action_batch_id: int,
    values: dict[str, Any],
    report: DryRun,
    limit: int,
) -> Iterator[ActionPart]:
    contract = loaded.contract
    verify_sealed(database, action_batch_id)
    pending = [
        (node.node_id, node.size_bytes)
        for node in database.actions.pending_nodes(
            contract.action_id, action_batch_id, contract.version, values
        )
    ]
    report.nodes_done = database.action_context.batch(action_batch_id).nodes - len(pending)
    return cut_for(contract, pending, limit)


def _would_be(
    action_batch_id: int, path: str, part: ActionPart, mode: str, written_bytes: int
) -> StagedPart:
    return StagedPart(
        action_batch_id=action_batch_id,
        layout_id="/".join(path.rsplit("/", 2)[1:]),
        part=part.number,
        mode=mode,
        input_root=path,
        output_root=path + ".output",
        output_bytes_max=written_bytes,
    )


def _children(loaded: LoadedContract, report: DryRun) -> None:
    contract = loaded.contract
    outputs = contract.output_parser.outputs if contract.output_parser else ()
    if any(output.child for output in outputs):
        limits = contract.child_limits
        report.children_max = int(report.nodes * loaded.count_scale)
        report.children_bytes_max = int(report.size_bytes * limits.bytes_scale)
