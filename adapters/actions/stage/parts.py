"""Parts of an action batch: it owns cutting a batch into pieces that are staged and run alone.

A part holds at most `batch_size_bytes` of inputs and NODES_MAX nodes, in the order of node ids.
Nodes that are done for the same action, version and parameters are in no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.stage.batch import verify_sealed

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from sql import Database

NODES_MAX = 50_000
"""What a part is described by (ids in a task, a listing, a manifest) stays a few megabytes."""


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
) -> list[ActionPart]:
    """Cut what is left to do of a sealed batch into parts; empty when all of it is done.

    The same again, with nothing done in between, gives the same parts.
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
    return list(cut(sizes, contract.batch_size_bytes))


def cut(
    sizes: Iterable[tuple[int, int]], size_bytes_max: int, nodes_max: int = NODES_MAX
) -> Iterator[ActionPart]:
    """Cut (node id, size) in their order; a node larger than the limit has a part of its own."""
    number = size_bytes = 0
    node_ids: list[int] = []
    for node_id, node_bytes in sizes:
        if node_ids and (size_bytes + node_bytes > size_bytes_max or len(node_ids) == nodes_max):
            yield ActionPart(number=number, node_ids=tuple(node_ids), size_bytes=size_bytes)
            number, size_bytes, node_ids = number + 1, 0, []
        node_ids.append(node_id)
        size_bytes += node_bytes
    if node_ids:
        yield ActionPart(number=number, node_ids=tuple(node_ids), size_bytes=size_bytes)
