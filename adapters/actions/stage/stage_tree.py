"""The tree of a part: it owns which file lies where, and refuses two that would lie in one place.

Nothing is written here: `LaidOut` is what the store is asked to make, file by file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from adapters.actions.contract.contract import ActionContract, Relatives, StagedFile
from adapters.actions.contract.stage_context import (
    Fields,
    Input,
    add_file_fields,
    inputs_of,
    names_files,
    node_fields,
    parameter_fields,
)
from adapters.actions.contract.stage_model import LeftOut, StagedInput
from adapters.actions.contract.templates import Renderer, render, renderer
from adapters.actions.stage.stage_texts import ListingText, sidecar_writer
from base.errors import UsageError
from base.text import safe_text
from fsd import check_relative_path, find_collisions

if TYPE_CHECKING:
    from sql import Database, NodeContext

COLLISIONS_SHOWN_MAX = 10


class StagedEntry(NamedTuple):
    """One file: content of the store (`key`) or a `text`; of a node, or of the part (None)."""

    path: str
    node_id: int | None
    key: str | None
    size_bytes: int
    text: str | None = None


@dataclass(slots=True)
class LaidOut:
    """A part on paper."""

    entries: list[StagedEntry] = field(default_factory=list[StagedEntry])
    inputs: list[StagedInput] = field(default_factory=list[StagedInput])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])

    @property
    def input_bytes(self) -> int:
        """Size of the inputs alone."""
        return sum(one.size_bytes for one in self.inputs)

    @property
    def staged_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size_bytes for entry in self.entries)


def lay_out(
    database: Database,
    contract: ActionContract,
    part: int,
    node_ids: Sequence[int],
    parameters: dict[str, Any],
) -> LaidOut:
    """Say where every file of a part would lie.

    Raises UsageError when two would lie in one place, naming both nodes, or when a name cannot be.
    """
    layout = contract.stage_layout
    assert layout is not None
    laid = LaidOut()
    listings = [ListingText(listing, contract) for listing in layout.listings]
    sidecars = [(renderer(one.path, path=True), sidecar_writer(one)) for one in layout.sidecars]
    paths = [renderer(file.path, path=True) for file in layout.files]
    # Two inputs may have one parent, which lies where both expect it, once.
    alone = len(layout.files) == 1 and layout.files[0].of == "node"
    shared: dict[str, str] | None = None if alone else {}
    named = names_files(layout)
    for one in inputs_of(database, contract, part, node_ids, parameters, laid.left_out):
        primary = ""
        for place, file in enumerate(layout.files):
            for entry in _files(file, one, place, paths[place]):
                if file.of == "node" and not primary:
                    primary = entry.path
                if shared is not None:
                    if shared.get(entry.path) == entry.key:
                        continue
                    shared.setdefault(entry.path, entry.key or "")
                laid.entries.append(entry)
        laid.inputs.append(_input(one.node, primary))
        if not sidecars and not listings:
            continue
        fields = one.fields
        add_file_fields(fields, primary, named=named)
        for path, text in sidecars:
            laid.entries.append(_text(path(fields), one.node.node_id, text(fields)))
        for listing in listings:
            listing.add(fields)
    of_part: Fields = {"part": part, **parameter_fields(parameters)}
    laid.entries += [
        _text(render(one.listing.path, of_part, path=True), None, one.text()) for one in listings
    ]
    _refuse_collisions(laid.entries)
    return laid


def _files(file: StagedFile, one: Input, place: int, path: Renderer) -> Iterable[StagedEntry]:
    node = one.node
    if not isinstance(file.of, Relatives):
        return (StagedEntry(path(one.fields), node.node_id, node.key, node.size_bytes or 0),)
    return _relatives(file.of.side, one, place, path)


def _relatives(side: str, one: Input, place: int, path: Renderer) -> Iterator[StagedEntry]:
    for number, relative in enumerate(one.relatives[place]):
        fields = {**one.fields, "number": number, **node_fields(side, relative)}
        size_bytes = relative.size_bytes or 0
        yield StagedEntry(path(fields), one.node.node_id, relative.key, size_bytes)


def _input(node: NodeContext, path: str) -> StagedInput:
    return StagedInput(
        node.node_id, node.key, path, node.size_bytes or 0, node.extension or "",
        node.media_type or "",
    )  # fmt: skip


def _text(path: str, node_id: int | None, text: str) -> StagedEntry:
    size_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return StagedEntry(path, node_id, None, size_bytes, text)


def _refuse_collisions(entries: Sequence[StagedEntry]) -> None:
    owners: dict[str, int | None] = {}
    position = -1

    def paths() -> Iterator[str]:
        nonlocal position
        for entry in entries:
            if reason := check_relative_path(entry.path):
                raise UsageError(f"node {entry.node_id}: {safe_text(reason)}; change the template")
            position += 1
            yield entry.path
            owners.setdefault(entry.path, entry.node_id)

    problems: list[str] = []
    # The search is lazy: what it tells is about the path it took last.
    for kind, earlier, later in find_collisions(paths()):
        first = owners.get(earlier, _below(owners, earlier))
        problems.append(
            f"{safe_text(later)}: {_kinds(kind)} of node {_named(first)} and node "
            f"{_named(entries[position].node_id)}"
        )
        if len(problems) == COLLISIONS_SHOWN_MAX:
            break
    if problems:
        raise UsageError(
            "two files would lie in one place; put {node.key} or {node.node_id} into the path:\n  "
            + "\n  ".join(problems)
        )


def _below(owners: dict[str, int | None], folder: str) -> int | None:
    """Return the node of the first file below a folder."""
    prefix = folder + os.sep
    return next((node_id for path, node_id in owners.items() if path.startswith(prefix)), None)


def _kinds(kind: str) -> str:
    words = {"duplicate": "the path", "case": "the name, but for its case,"}
    return words.get(kind, "a file and a folder")


def _named(node_id: int | None) -> str:
    return "of a listing" if node_id is None else str(node_id)
