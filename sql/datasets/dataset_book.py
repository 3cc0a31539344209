"""Datasets as the database has them: it owns versions, members, exports and lineage.

What a dataset is to contain is asked through `candidates`. Manifests and trees are the store's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from psycopg import errors

from base.errors import UsageError
from sql.core.errors import NotFoundError, TurnError
from sql.core.repository import Repository, stream_of
from sql.core.statements import statements
from sql.datasets.dataset_candidates import Candidates
from sql.datasets.dataset_question import (
    Ancestor,
    DatasetExport,
    DatasetMember,
    DatasetQuestion,
    DatasetVersion,
    MemberChange,
    Membership,
)
from sql.events.event_book import add_event

if TYPE_CHECKING:
    pass

LINEAGE_DEPTH_MAX = 20

_SQL = statements("datasets")


class DatasetBook(Repository):
    """Every call but `candidates` is one transaction."""

    @contextmanager
    def candidates(
        self, name: str, question: DatasetQuestion, *, to_look: bool = False
    ) -> Generator[Candidates]:
        """Yield what a dataset may contain; what was registered is kept when the block ends.

        One at a time for each name, TurnError for the second, unless it is only `to_look`. The
        transaction stays open as long as the block, so it should only be as long as streaming and
        storing take.
        """
        with self._database.connection() as connection:
            found = Candidates(connection, question)
            found.choose(None if to_look else name)
            try:
                yield found
            except errors.UniqueViolation as error:
                raise TurnError(f"dataset {name} was built meanwhile; build it again") from error

    # ---- Versions --------------------------------------------------------------------------------

    def versions(
        self, name: str | None = None, version: int | None = None, manifest_key: str | None = None
    ) -> list[DatasetVersion]:
        """Return versions, by name and number."""
        given = {"name": name, "version": version, "manifest_key": manifest_key}
        return self._all(DatasetVersion, _SQL["versions"], given)

    def version(self, name: str, version: int | None = None) -> DatasetVersion:
        """Return a version, the newest that is not retired unless its number is given."""
        found = self.versions(name, version)
        alive = [one for one in found if version is not None or one.state == "built"]
        if not alive:
            which = f"{name}@{version}" if version is not None else name
            there = "; all its versions are retired" if found else "; see `drystone dataset list`"
            raise NotFoundError(f"there is no dataset {which}{there}")
        return alive[-1]

    def next_version(self, name: str) -> int:
        """Return the number that the next version gets."""
        return self._value(_SQL["next_version"], [name])

    def retire(self, dataset_version_id: int) -> bool:
        """Retire a version; False when it was so already."""
        return self._change(_SQL["retire"], [dataset_version_id]) == 1

    def revive(self, dataset_version_id: int) -> bool:
        """Take a retired version back; False when it is not retired."""
        return self._change(_SQL["revive"], [dataset_version_id]) == 1

    def members(self, dataset_version_id: int) -> Iterator[DatasetMember]:
        """Stream the members of a version, by node id."""
        return self._stream(DatasetMember, _SQL["members"], [dataset_version_id])

    def difference(self, one: int, other: int) -> Iterator[MemberChange]:
        """Stream the nodes that are not the same in two versions, by key."""
        # Without the reader's timeout: two versions of ten million members are sorted first.
        with self._database.connection() as connection:
            given = {"one": one, "other": other}
            yield from stream_of(connection, MemberChange, _SQL["difference"], given)

    def hidden_members(self, dataset_version_id: int) -> list[tuple[str, bool]]:
        """Return members that were deleted or black-listed (True) since, by key."""
        with self._database.reading() as connection:
            return connection.execute(_SQL["hidden_members"], [dataset_version_id]).fetchall()

    # ---- Lineage ---------------------------------------------------------------------------------

    def node_of(self, key: str) -> int:
        """Return the node of a key; NotFoundError when there is none."""
        node_id = self._value(_SQL["node_of_key"], [key])
        if node_id is None:
            raise NotFoundError(f"no node has the key {key}")
        return node_id

    def ancestors(self, node_id: int) -> list[Ancestor]:
        """Return the node itself and everything above it, the nearest first."""
        given = {"node_id": node_id, "depth_max": LINEAGE_DEPTH_MAX}
        found = self._all(Ancestor, _SQL["ancestors"], given)
        return sorted(found, key=lambda one: (one.depth, one.node_id))

    def memberships(self, node_id: int) -> list[Membership]:
        """Return the datasets that a node is in, and those that files below it are in."""
        given = {"node_id": node_id, "depth_max": LINEAGE_DEPTH_MAX}
        return self._all(Membership, _SQL["datasets_below"], given)

    # ---- Exports ---------------------------------------------------------------------------------

    def begin_export(
        self, export_id: str, version: DatasetVersion, layout_id: str, mode: Literal["copy", "view"]
    ) -> None:
        """Register an export as running; UsageError when its id stands for something else."""
        given = {
            "export_id": export_id,
            "dataset_version_id": version.dataset_version_id,
            "layout_id": layout_id,
            "mode": mode,
            "manifest_key": version.manifest_key,
            "file_count": version.entry_count,
            "size_bytes": version.entry_size_bytes,
        }
        if self._change(_SQL["begin_export"], given) == 0:
            raise UsageError(
                f"the export {export_id} is another version, layout or mode; choose another id "
                "with --id, or see `drystone dataset exports`"
            )

    def change_export(
        self,
        export_id: str,
        state: Literal["running", "sealed", "failed", "removed"],
        *,
        target_root: str | None = None,
        job_id: str | None = None,
        reason: str | None = None,
        copying_s: float | None = None,
    ) -> None:
        """Say how far an export is; what is not given stays."""
        given = {
            "export_id": export_id,
            "state": state,
            "target_root": target_root,
            "job_id": job_id,
            "reason": reason,
            "copying_s": copying_s,
        }
        with self._database.connection() as connection:
            row = connection.execute(_SQL["change_export"], given).fetchone()
            if row is None:
                raise NotFoundError(f"there is no export {export_id}")
            former, dataset, version = row
            if state == "sealed" and former != "sealed":
                document = {"export_id": export_id, "name": dataset, "version": version}
                add_event(connection, "dataset.exported", f"dataset {dataset}", document)

    def exports(
        self, dataset_version_id: int | None = None, export_id: str | None = None
    ) -> list[DatasetExport]:
        """Return exports, oldest first."""
        given = {"dataset_version_id": dataset_version_id, "export_id": export_id}
        return self._all(DatasetExport, _SQL["exports"], given)
