"""What actions ask before they run: it owns batches, contexts of nodes, contracts and pipelines.

Bulk questions take many nodes and are one statement each. What became of nodes in a run is the
business of the action's book, and nothing here runs or stages anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from base.errors import UsageError
from sql.actions import history
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, value_of
from sql.core.statements import statements

if TYPE_CHECKING:
    pass

_SQL = statements("action_context")
FETCH_ROWS = 20_000


class NodeContext(NamedTuple):
    """One node; `hidden` says why it may not be staged, or is empty."""

    node_id: int
    key: str
    size_bytes: int | None
    extension: str | None
    media_type: str | None
    description: str | None
    hidden: str = ""


class NodeMetadata(NamedTuple):
    """What is said of a node: one observation, a scraped one first, the newest of those."""

    source: str
    title: str | None
    view: int | None
    update_time: datetime | None
    download_time: datetime | None
    author: str | None
    user: str | None


class BatchState(NamedTuple):
    """An action batch; `late` counts nodes that entered after the seal, which cannot be."""

    action_batch_id: int
    create_date: datetime
    seal_date: datetime | None
    nodes: int
    size_bytes: int
    late: int


class DeclaredPipeline(NamedTuple):
    """A pipeline with its actions in order, and the document that it was declared by, if any."""

    name: str
    document: str | None
    action_ids: Sequence[int]
    actions: Sequence[str]


class ActionContext(Repository):
    """Questions about an open database."""

    # ---- Nodes -----------------------------------------------------------------------------------

    def nodes(self, node_ids: Sequence[int]) -> dict[int, NodeContext]:
        """Return the nodes by their ids; an id that nobody has is not in it."""
        found = self._all(NodeContext, _SQL["nodes"], {"node_ids": list(node_ids)})
        return {node.node_id: node for node in found}

    def metadata(self, node_ids: Sequence[int]) -> dict[int, NodeMetadata]:
        """Return what is said of the nodes; one of which nothing is said is not in it."""
        with self._database.reading() as connection:
            rows = connection.execute(_SQL["metadata"], {"node_ids": list(node_ids)})
            return {node_id: NodeMetadata(*told) for node_id, *told in rows}

    def relatives(
        self,
        node_ids: Sequence[int],
        side: Literal["parent", "child"],
        relationship: str | None = None,
        media_type: str | None = None,
        *,
        files_only: bool = True,
    ) -> dict[int, list[NodeContext]]:
        """Return the nodes one edge away, each once: tree edges first, then by position.

        Deleted and black-listed ones never come; with `files_only` none without bytes either.
        """
        given = {
            "node_ids": list(node_ids), "relationship": relationship, "media_type": media_type,
            "files": files_only,
        }  # fmt: skip
        statement = _SQL["parents" if side == "parent" else "children"]
        found: dict[int, list[NodeContext]] = {}
        with self._database.reading() as connection:
            for node_id, *relative in connection.execute(statement, given):
                found.setdefault(node_id, []).append(NodeContext(*relative))
        return found

    # ---- Batches ---------------------------------------------------------------------------------

    def make_sealed_batch(self, node_ids: Iterable[int]) -> int:
        """Make, fill and seal an action batch in one transaction; returns its id."""
        with self._database.connection() as connection:
            action_batch_id = history.create_action_batch(connection)
            history.add_to_action_batch(connection, action_batch_id, node_ids)
            history.seal_action_batch(connection, action_batch_id)
            return action_batch_id

    def batch(self, action_batch_id: int) -> BatchState:
        """Return what a batch holds; NotFoundError when nobody made it."""
        found = self._first(BatchState, _SQL["batch"], {"action_batch_id": action_batch_id})
        if found is None:
            raise NotFoundError(f"there is no action batch {action_batch_id}")
        return found

    def batch_nodes(self, action_batch_id: int) -> Iterator[tuple[int, int]]:
        """Yield node id and size in bytes (0 without bytes) of a batch, by node id."""
        given = {"action_batch_id": action_batch_id}
        with (
            self._database.reading() as connection,
            connection.cursor(name="batch_nodes") as cursor,
        ):
            cursor.itersize = FETCH_ROWS
            yield from cursor.execute(_SQL["batch_nodes"], given)

    # ---- Contracts and pipelines -----------------------------------------------------------------

    def register_contract(self, action_id: int, version: int, digest: bytes, document: str) -> bool:
        """Keep a contract of a declared action; False when it was known.

        UsageError when this version is known with another digest.
        """
        given = {
            "action_id": action_id, "version": version, "digest": digest, "document": document,
        }  # fmt: skip
        with self._database.connection() as connection:
            if connection.execute(_SQL["lock_action"], given).fetchone() is None:
                raise NotFoundError(f"there is no action {action_id}; declare it first")
            other = connection.execute(_SQL["other_contract"], given).fetchone()
            if other is not None:
                other_digest, register_time = other
                newest: int = value_of(connection, _SQL["newest_version"], given)
                raise UsageError(
                    f"version {version} of action {action_id} was registered at {register_time} "
                    f"with other content (digest {other_digest[:12]}): raise the version to "
                    f"{newest + 1}, or take back what was changed"
                )
            return connection.execute(_SQL["register_contract"], given).rowcount == 1

    def contract_document(self, digest: bytes) -> str | None:
        """Return a contract as it was registered, by its digest; None when nobody did."""
        return self._value(_SQL["contract_document"], {"digest": digest})

    def declare_pipeline(self, name: str, action_ids: Sequence[int], document: str) -> int:
        """Make a pipeline known with what it says beside its actions; returns its id.

        The document may be another each time; other actions under the same name are a UsageError.
        """
        with self._database.connection() as connection:
            pipeline_id = history.declare_pipeline(connection, name, action_ids)
            given = {"pipeline_id": pipeline_id, "document": document}
            connection.execute(_SQL["set_pipeline_document"], given)
            return pipeline_id

    def first_open_stage(self, pipeline: str, action_batch_id: int) -> int | None:
        """Return the first stage that is not done for every node of a batch; None when all are.

        Raises NotFoundError when there is no such batch.
        """
        given = {"pipeline": pipeline, "action_batch_id": action_batch_id}
        with self._database.reading() as connection:
            row = connection.execute(_SQL["first_open_stage"], given).fetchone()
        if row is None:
            raise NotFoundError(f"there is no action batch {action_batch_id}")
        (stage,) = row
        return stage

    def pipelines(self) -> list[DeclaredPipeline]:
        """Return all pipelines, by name."""
        return self._all(DeclaredPipeline, _SQL["pipelines"])
