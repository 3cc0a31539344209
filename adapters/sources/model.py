"""Platforms as tables: which nodes a record has, and what ties them.

`Node`, `Person` and `Medium` say which nodes a record has and what ties them; they are the only
writers of nodes and edges. Their columns are declared in columns.py, their texts are paths
(paths.py). Formats of one platform become the same fields first, so that one description reads them
all. A value of another type than its column's is NULL and counted in `Draft.unread`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.items import MediaFile, NodeReference
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text
from adapters.sources.columns import Change, Objects, Source, objects_of
from adapters.sources.paths import (
    COUNT,
    PLATFORM,
    POSITION,
    Every,
    First,
    Path,
    Read,
    compiled,
)
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.medium import media_node
from adapters.sources.reading.web_address import node_of_address

ASSOCIATIONS_MAX = 100
"""The most people, pages and other nodes of one kind that one record ties to a node."""
POSITION_MAX = 2**31 - 1
FILE = "^file"
"""Field of a medium whose file is known already, or known to be missing."""
FROM_NODE = frozenset(
    {"contains", "variant", "thumbnail", "attachment", "mentioned", "linked", "alias"}
)
"""Relationships that lead from a node to what its record names; all others lead to the node."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that a record tells of; all texts but `kind` and `section` are paths.

    `kind` is of the record's platform, or names another one (`web:page`). `section` says which
    columns the source has of it, by default those of its kind.
    """

    kind: str
    id: str
    title: str = ""
    view: str = ""
    time: str = ""
    section: str = ""
    author: Person | None = None
    tags: str = ""
    tag_platform: str = ""
    media: tuple[Medium, ...] = ()
    edges: tuple[Edge, ...] = ()
    unless_only: str = ""
    """Columns, or `author`, which alone are no reason for a row."""
    find: _Found = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Bind the paths."""
        object.__setattr__(self, "find", _found(self))


@dataclass(frozen=True, slots=True)
class Person(Node):
    """An account: known by its id, else by its name, which is an alias where both are known.

    `at` is where a record has its object.
    """

    kind: str = "user"
    id: str = ""
    name: str = ""
    at: str = ""
    section: str = "user"
    is_own_author: bool = False


@dataclass(frozen=True, slots=True)
class Medium(Node):
    """A picture, film or sound: the file that is there, else the description.

    `urls` are its addresses best first, `stems` names without extension, `variants` and `thumbs`
    addresses of its other files. `at` is where a record has the objects of its media; `needs` is
    what must be there for one to be a node. Title, time and author are those of what contains it,
    unless it has its own or `container` names another node, which it belongs to.
    `is_network`: every file has a name of its own and all in `urls` are the medium's sizes, of
    which `is_video` tells the previews apart.
    """

    kind: str = "media"
    id: str = ""
    at: str = ""
    section: str = "medium"
    urls: str = ""
    stems: str = ""
    variants: str = ""
    thumbs: str = ""
    needs: str = ""
    container: str = ""
    container_kind: str = ""
    position: str = ""
    is_network: bool = False
    is_video: str = ""
    post_stem: str = ""
    """Id of the post after which scrapers number the files of its media."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A tie of a node to others: `to` is their kind, or what is told of them.

    The kind `address` means the node of a web address, `file` the file that has the base name of
    one, `described` a description or a file that a function of the platform made ready. `is_parent`
    says whether the node is the parent where the relationship does not, `is_numbered` whether the
    others have positions. Without a relationship the others are only told of.
    """

    relationship: str
    to: str | Node
    at: str = ""
    is_parent: bool | None = None
    is_numbered: bool = False
    position: str = ""
    """Where the other node's fields say its position."""
    count_max: int = ASSOCIATIONS_MAX
    is_from_node: bool = field(init=False, repr=False)
    find_values: Every = field(init=False, repr=False, compare=False)
    find_objects: Objects = field(init=False, repr=False, compare=False)
    find_position: First = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Bind the paths."""
        is_parent = self.relationship in FROM_NODE if self.is_parent is None else self.is_parent
        bound = {
            "is_from_node": is_parent,
            "find_values": compiled(self.at).every_of(),
            "find_objects": objects_or_itself(self.at),
            "find_position": compiled(self.position).first_of(as_count),
        }
        for name, value in bound.items():
            object.__setattr__(self, name, value)


def identity(value: Any) -> str | int | None:
    """Return what can be an id: text or an integer; a float has lost digits already."""
    return value if isinstance(value, (str, int)) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class _Found:
    """The paths of a node, each bound to what reads its values."""

    section: str
    beside: frozenset[str]
    at: Objects
    id: First
    name: First
    title: First
    view: First
    time: First
    container: First
    position: First
    post_stem: First
    needs: First
    is_video: First
    tags: Every
    urls: Every
    stems: Every
    variants: Every
    thumbs: Every


_FIRSTS: Mapping[str, Read | None] = {
    **dict.fromkeys(("id", "container"), identity),
    **dict.fromkeys(("name", "title", "post_stem"), as_text),
    **dict.fromkeys(("view", "position"), as_count),
    **dict.fromkeys(("needs", "is_video"), None),
    "time": parse_time,
}
_EVERIES = ("tags", "urls", "stems", "variants", "thumbs")


def _found(node: Node) -> _Found:
    def path(name: str) -> Path:
        return compiled(getattr(node, name, ""))  # Not every node has all of them.

    return _Found(
        section=node.section or node.kind,
        beside=frozenset(node.unless_only.split()),
        at=objects_or_itself(getattr(node, "at", "")),
        **{name: path(name).first_of(read) for name, read in _FIRSTS.items()},
        **{name: path(name).every_of(as_text) for name in _EVERIES},
    )


def objects_or_itself(path: str) -> Objects:
    """Return what finds the objects at a path, or the fields themselves without one."""
    return objects_of(compiled(path)) if path else lambda fields: (fields,)


class _Said(NamedTuple):
    """What is said of a node, for the media in it."""

    title: str | None = None
    time: datetime | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How the records of one format are read: its source, its platform and its nodes.

    `platform` is a word, or a function that finds it from the fields and the path of the file.
    `prepare` makes the fields out of the record.
    """

    source: Source
    platform: str | Callable[[dict[str, Any], Draft], str]
    nodes: Mapping[str, Node]
    prepare: Mapping[str, Change] = field(default_factory=dict[str, Change])

    def read(self, draft: Draft, kind: str, value: Any) -> None:
        """Read a record of one of `nodes`; RecordError when it has no usable id."""
        if not isinstance(value, dict):
            raise RecordError(f"the {kind} is no object: {str(value)[:80]!a}")
        prepare = self.prepare.get(kind)
        fields = value if prepare is None else prepare(value)
        writer, fields = self._writer(draft, fields)
        node = self.nodes[kind]
        subject = writer.identify(node, fields)
        if subject is None:
            said, _ = compiled(node.id).first_of()(fields)
            raise RecordError(f"the {node.kind} has no usable id: {str(said)[:80]!a}")
        draft.subject = subject
        writer.write(node, fields, subject)

    def read_parts(self, draft: Draft, kind: str, value: dict[str, Any]) -> None:
        """Read what lies in a record that is no node itself; RecordError when nothing names it."""
        prepare = self.prepare.get(kind)
        if not self.read_any(draft, kind, value if prepare is None else prepare(value)):
            raise RecordError(f"the {kind} names nothing: no file, and no usable id")

    def read_any(self, draft: Draft, kind: str, fields: dict[str, Any]) -> bool:
        """Read fields that may tell of a medium or of a person alone; False for nothing."""
        writer, fields = self._writer(draft, fields)
        node = self.nodes[kind]
        subject: NodeReference | None = writer.write(node, fields)
        if subject is None:
            subject = writer.write_parts(node, fields)
        if subject is not None:
            draft.subject = subject
        return subject is not None

    def _writer(self, draft: Draft, fields: dict[str, Any]) -> tuple[Writer, dict[str, Any]]:
        platform = self.platform if isinstance(self.platform, str) else self.platform(fields, draft)
        return Writer(draft, self.source, platform), {**fields, PLATFORM: platform}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes what the fields of one record say into its draft."""

    draft: Draft
    source: Source
    platform: str

    def write(self, node: Node, fields: Any, known: str | None = None) -> str | None:
        """Write a node with all that hangs on it; None when nothing names it."""
        found = known or self.identify(node, fields)
        if found is None:
            return None
        author = self._author(node, fields)
        said = _Said(node.find.title(fields)[0], node.find.time(fields)[0], author)
        self.observe(node, fields, found, said)
        if isinstance(node, Person):
            self.draft.link(found, self._username(node, fields), "alias")
        self.draft.link(author, found, "authored")
        if node.tags:
            names, _ = node.find.tags(fields)
            self.draft.tag(node.tag_platform or self.platform, names, found)
        for edge in node.edges:
            self._edge(edge, fields, found)
        for medium in node.media:
            self._media(medium, fields, found, said)
        return found

    def write_parts(self, node: Node, fields: Any) -> NodeReference | None:
        """Write what hangs on a node that nothing names: its media, author, or other nodes."""
        author = self._author(node, fields)
        said = _Said(node.find.title(fields)[0], node.find.time(fields)[0], author)
        media = [one for medium in node.media for one in self._media(medium, fields, None, said)]
        for one in media:
            self.draft.link(author, one, "authored")
        others = [
            self.write(edge.to, one)
            for edge in node.edges
            if isinstance(edge.to, Node)
            for one in islice(edge.find_objects(fields), edge.count_max)
        ]
        return next((one for one in (*media, author, *others) if one is not None), None)

    def _author(self, node: Node, fields: Any) -> str | None:
        if node.author is None:
            return None
        at = next(iter(node.author.find.at(fields)), None)
        return None if at is None else self.write(node.author, at)

    def observe(self, node: Node, fields: Any, found: NodeReference, said: _Said) -> None:
        """Say what is told of a node."""
        columns = self.source.columns(self.draft, node.find.section, fields)
        is_person = isinstance(node, Person)
        view, _ = node.find.view(fields)
        beside = node.find.beside
        is_told = said.title or view or said.time or (columns.keys() - beside)
        is_told = is_told or (said.author and "author" not in beside)
        if not is_told and not isinstance(node, Medium):
            return
        self.draft.observe(
            found,
            columns,
            is_root=isinstance(node, Medium),
            title=said.title,
            view=view,
            update_time=said.time,
            author=str(found) if is_person and node.is_own_author else said.author,
        )

    def identify(self, node: Node, fields: Any) -> str | None:
        """Return the description of a node, or None when the fields do not name it."""
        found = self.describe(node.kind, node.find.id(fields)[0])
        return self._username(node, fields) if found is None and isinstance(node, Person) else found

    def describe(self, kind: str, value: Any) -> str | None:
        """Return the description of a node of a kind, which may name another platform."""
        if kind == "address":
            return node_of_address(value)
        if kind == "described":
            return value if isinstance(value, str) else None
        if ":" not in kind:
            return reference(self.platform, kind, value)
        platform, _, word = kind.partition(":")
        return reference(platform, word, value)

    def _username(self, person: Person, fields: Any) -> str | None:
        name, _ = person.find.name(fields)
        platform = person.kind.partition(":")[0] if ":" in person.kind else self.platform
        return reference(platform, "username", name.lower()) if name else None

    def _edge(self, edge: Edge, fields: Any, node: NodeReference) -> None:
        to = edge.to
        if isinstance(to, str):
            values, _ = edge.find_values(fields)
            for number, value in enumerate(values[: edge.count_max]):
                position = number if edge.is_numbered else None
                self._tie(edge, node, self._other(to, value), position)
            return
        for number, one in enumerate(islice(edge.find_objects(fields), edge.count_max)):
            position = number if edge.is_numbered else edge.find_position(one)[0]
            self._tie(edge, node, self.write(to, one), position)

    def _other(self, kind: str, value: Any) -> NodeReference | None:
        if isinstance(value, MediaFile):
            return value
        if kind == "file":
            return self.draft.media.by_address(value, self.draft.path)
        return self.describe(kind, value)

    def _tie(
        self, edge: Edge, node: NodeReference, other: NodeReference | None, position: int | None
    ) -> None:
        if position is not None and position > POSITION_MAX:
            position = None
        if edge.is_from_node:
            self.draft.link(node, other, edge.relationship, position)
        elif edge.relationship:
            self.draft.link(other, node, edge.relationship, position)

    # ---- Media ---------------------------------------------------------------------------------

    def _media(
        self, medium: Medium, fields: Any, container: str | None, said: _Said
    ) -> list[NodeReference]:
        """Write the media of a node, each contained in it or in what the fields name instead."""
        if medium.container:
            kind = medium.container_kind or (container or "x:post").split(":", 2)[1]
            other = self.describe(kind, medium.find.container(fields)[0])
            # What is said of the node is not said of another one's media.
            container, said = (other, _Said()) if other else (container, said)
        objects = enumerate(medium.find.at(fields))
        found = (self._medium(medium, one, container, said, number) for number, one in objects)
        return [node for node in found if node is not None]

    def _medium(
        self, medium: Medium, fields: Any, container: str | None, above: _Said, number: int
    ) -> NodeReference | None:
        node = self._file_or_description(medium, fields)
        if node is None:
            return None
        position = medium.find.position(fields)[0] if medium.position else number
        is_position = position is not None and position <= POSITION_MAX
        self.draft.link(container, node, "contains", position if is_position else None)
        said = _Said(
            medium.find.title(fields)[0] or above.title,
            medium.find.time(fields)[0] or above.time,
            self._author(medium, fields) or above.author,
        )
        self.observe(medium, fields, node, said)
        for edge in medium.edges:
            self._edge(edge, fields, node)
        return node

    def _file_or_description(self, medium: Medium, fields: Any) -> NodeReference | None:
        """Find the file of a medium and tie its other files; the description without a file."""
        description = self.identify(medium, fields)
        if FILE in fields:
            return fields[FILE] or description
        find = medium.find
        if medium.needs and not find.needs(fields)[1]:
            return None
        urls, thumbs, stems = find.urls(fields)[0], find.thumbs(fields)[0], find.stems(fields)[0]
        if medium.is_network:
            is_video = find.is_video(fields)[1]
            found = media_node(self.draft, description or "", urls, thumbs, stems, is_video)
            if not found.node:
                return None
            self.draft.link_all(found.links)
            return found.node
        finder, near = self.draft.media, self.draft.path
        node: NodeReference | None = finder.first(near, urls, stems)
        if node is None and medium.post_stem:
            post = find.post_stem(fields)[0] or ""
            position, count = fields.get(POSITION, 0), fields.get(COUNT, 1)
            node = finder.of_post(post, position, count, near)
        node = node or description
        for relationship, addresses in (
            ("variant", find.variants(fields)[0]),
            ("thumbnail", thumbs),
        ):
            for address in addresses:
                self.draft.link(node, finder.by_address(address, near), relationship)
        return node
