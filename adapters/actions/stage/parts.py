"""Parts of an action batch: it owns cutting a batch into pieces that are staged and run alone.

A part holds at most `batch_size_bytes` of inputs and NODES_MAX nodes, in the order of node ids, and
less where it would not fit into the stage: two of them do, so that one is laid out while another
runs. Nodes that are done for the same action, version and parameters are in no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.stage.batch import verify_sealed
from adapters.actions.stage.room import needed_bytes, never_fits
from base.errors import UsageError

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.contract import ActionContract
    from sql import Database

NODES_MAX = 50_000
"""What a part is described by (ids in a task, a listing, a manifest) stays a few megabytes."""
FILL_MAX = 0.9
"""Of the stage: what layouts add to the files of nodes is not known when parts are cut."""


class ActionPart(BaseModel):
    """One piece of a batch; `number` counts from 0. JSON-able by `model_dump(mode="json")`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    node_ids: tuple[int, ...]
    size_bytes: int


def plan_parts(
    database: Database,
    loaded: LoadedContract,
    action_batch_id: int,
    parameters: dict[str, Any],
    limit_bytes: int = 0,
) -> list[ActionPart]:
    """Cut what is left to do of a sealed batch into parts; empty when all of it is done.

    `limit_bytes` is what the stage may ever hold, 0 for not known; UsageError when a node alone, or
    what the contract wants written, never fits there. The same again, with nothing done in between,
    gives the same parts.
    """
    verify_sealed(database, action_batch_id)
    contract = loaded.contract
    pending = database.actions.pending_nodes(
        contract.action_id,
        action_batch_id,
        contract.version,
        checked_parameters(contract, parameters),
    )
    sizes = ((node.node_id, node.size_bytes or 0) for node in pending)
    parts = list(cut_for(contract, sizes, limit_bytes))
    for part in parts if limit_bytes else ():
        taken = _taken(contract, part.size_bytes, len(part.node_ids))
        if reason := never_fits(taken, limit_bytes):
            raise UsageError(f"node {part.node_ids[0]} never fits into the stage: {reason}")
    return parts


def cut_for(
    contract: ActionContract, sizes: Iterable[tuple[int, int]], limit_bytes: int
) -> Iterator[ActionPart]:
    """Cut (node id, size) as the contract wants, and so that parts fit into the stage."""
    least_bytes = _taken(contract, 0, 1)
    # What is reserved for a part whatever is in it may be most of the stage: then one at a time.
    is_small = least_bytes < limit_bytes // 4
    share_bytes = limit_bytes // 2 if is_small else int(limit_bytes * FILL_MAX)

    def fits(size_bytes: int, nodes: int) -> bool:
        return not limit_bytes or _taken(contract, size_bytes, nodes) <= share_bytes

    return cut(sizes, contract.batch_size_bytes, fits=fits)


def _taken(contract: ActionContract, size_bytes: int, nodes: int) -> int:
    """Return what a part takes of the stage as far as sizes of nodes tell."""
    return needed_bytes(contract, size_bytes, size_bytes, nodes)


def cut(
    sizes: Iterable[tuple[int, int]],
    size_bytes_max: int,
    nodes_max: int = NODES_MAX,
    *,
    fits: Callable[[int, int], bool] = lambda _size_bytes, _nodes: True,
) -> Iterator[ActionPart]:
    """Cut (node id, size) in their order; a node larger than the limit has a part of its own.

    `fits` says whether a part of so many bytes and nodes is small enough.
    """
    number = size_bytes = 0
    node_ids: list[int] = []
    for node_id, node_bytes in sizes:
        if node_ids and (
            size_bytes + node_bytes > size_bytes_max
            or len(node_ids) == nodes_max
            or not fits(size_bytes + node_bytes, len(node_ids) + 1)
        ):
            yield ActionPart(number=number, node_ids=tuple(node_ids), size_bytes=size_bytes)
            number, size_bytes, node_ids = number + 1, 0, []
        node_ids.append(node_id)
        size_bytes += node_bytes
    if node_ids:
        yield ActionPart(number=number, node_ids=tuple(node_ids), size_bytes=size_bytes)
