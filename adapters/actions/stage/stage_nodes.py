"""Nodes laid out in 3C without a contract: StageTo3C with the ids of nodes instead of a manifest.

Each lies in `<node id>.<extension>`. The store knows objects and no nodes, so the database is asked
here what their content is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from adapters.actions.contract.stage_context import CHUNK_NODES
from adapters.actions.contract.stage_model import LeftOut
from adapters.actions.stage.batch import verify_sealed
from adapters.actions.stage.stage_manifest import manifest_file
from adapters.actions.stage.stage_tree import LaidOut, StagedEntry
from adapters.records.errors import AdapterError
from base.errors import UsageError

if TYPE_CHECKING:
    from fsd import Client, MaterialiseAnswer
    from sql import Database, NodeContext


def stage_nodes(
    client: Client,
    database: Database,
    action_batch_id: int,
    layout_id: str,
    node_ids: Sequence[int] | None = None,
    mode: Literal["copy", "view"] = "copy",
) -> tuple[MaterialiseAnswer, list[LeftOut]]:
    """Lay nodes of a sealed batch out as `3c/<batch>/<layout>/`, or as a view, and wait for it.

    Without ids it is all of the batch. Returns the store's answer, and the nodes that are left out:
    deleted, black-listed or without bytes. UsageError for a node that is not in the batch,
    AdapterError when the store could not make it.
    """
    verify_sealed(database, action_batch_id)
    members = [node_id for node_id, _ in database.action_context.batch_nodes(action_batch_id)]
    chosen = members if node_ids is None else sorted(set(node_ids))
    if strange := set(chosen).difference(members):
        raise UsageError(f"node {min(strange)} is not in action batch {action_batch_id}")
    laid = LaidOut()
    for start in range(0, len(chosen), CHUNK_NODES):
        ids = chosen[start : start + CHUNK_NODES]
        found = database.action_context.nodes(ids)
        for node_id in ids:
            _add(laid, node_id, found.get(node_id))
    area = next(one.path for one in client.capacity().areas if one.area == "3c")
    folder = os.path.join(area, str(action_batch_id))
    os.makedirs(folder, exist_ok=True)
    try:
        with manifest_file(client, folder, layout_id.replace("/", ","), laid) as manifest:
            answer = client.stage_to_3c(manifest, str(action_batch_id), layout_id, mode)
            job = client.wait(answer.job_id)
    finally:
        with contextlib.suppress(OSError):  # Other stages of the batch lie there.
            os.rmdir(folder)
    if job.state != "done":
        raise AdapterError(
            f"action batch {action_batch_id} could not be staged as {layout_id} ({job.state}): "
            f"{job.error or 'see the report of job ' + job.job_id}"
        )
    return answer, laid.left_out


def _add(laid: LaidOut, node_id: int, node: NodeContext | None) -> None:
    reason = "not in the database" if node is None else node.hidden
    if node is None or reason:
        laid.left_out.append(LeftOut(node_id, reason))
        return
    name = f"{node_id}.{node.extension}" if node.extension else str(node_id)
    laid.entries.append(StagedEntry(name, node_id, node.key, node.size_bytes or 0))
