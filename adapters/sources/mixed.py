"""A folder of several formats: which adapter reads which of its files, and what nobody reads.

A folder is of the adapter that is surest of it; folders below that another one is surely of, and
documents beside the others that begin alike, are that one's. Each adapter then reads its own
documents with all other files of the folders where they are, so that it finds its media. What
nobody reads is left to the plain folder, and `who_could` says who might have read it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING

from adapters.records.folder import ScrapeFolder, extension_of, unpacked_name
from adapters.records.items import Problem, Record, Sniff
from adapters.sources.labelled_columns import MEDIA_EXTENSIONS
from adapters.sources.plain_folder.sidecars import owner_of
from adapters.sources.reading.adapter import DocumentAdapter
from adapters.sources.reading.documents import KINDS

if TYPE_CHECKING:
    from adapters.records.adapter import Adapter
    from sql import DeclaredTable

SURE_MIN = 0.5
"""An adapter less sure than this reads nothing that it was not told to."""
SURE_BELOW = 0.8
"""An adapter so sure of a folder below its own is not compared with the others."""
SURE_OF_SEVERAL = 0.99
FALLBACK = "plain-folder"
ANY_JSON = "json"
DOCUMENTS = frozenset({*KINDS, "csv", "tsv", "parquet"})
"""Extensions of what holds records, and is no medium that somebody only keeps."""
HEAD_BYTES = 512
NAMES_ALIKE = 3
BEGINNINGS_MAX = 50
"""So many kinds of beginnings are told apart in one folder; all further ones are one more kind."""
_NAME = re.compile(rb'"((?:[^"\\]|\\.){1,60})"\s*:')


@dataclass(slots=True)
class Division:
    """The documents that each adapter reads, and the other files that it sees beside them."""

    documents: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    others: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    is_whole: bool = False
    """Whether somebody is sure of the folder as it is."""

    def paths(self, name: str) -> list[str]:
        """Return the files of one adapter."""
        return sorted({*self.documents.get(name, ()), *self.others.get(name, ())})


@dataclass(frozen=True, slots=True)
class MixedAdapter:
    """A folder in which several formats lie, each read by its own adapter."""

    name: str = "mixed"

    @property
    def tables(self) -> tuple[DeclaredTable, ...]:
        """The tables of all adapters; those that nothing is found for are not declared."""
        found = {table.name: table for one in _others().values() for table in one.tables}
        return tuple(found.values())

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Be sure where several adapters are, each of a part."""
        division = divide(folder)
        names = sorted(division.documents)
        if not names or (len(names) == 1 and division.is_whole):
            return Sniff(0.0, "not more than one format")
        counts = ((name, len(division.documents[name])) for name in names[:6])
        told = ", ".join(f"{count:,} of {name}" if count else name for name, count in counts)
        sure = SURE_OF_SEVERAL if len(names) > 1 else SURE_MIN
        return Sniff(sure, f"files of several kinds: {told}")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield what each adapter makes of its part, sorted by path and number."""
        division = divide(folder)
        return read_parts(folder, {name: division.paths(name) for name in division.documents})


@dataclass(frozen=True)
class RedirectedAdapter:
    """An adapter from whose folder some files are read by others, as somebody asked."""

    own: Adapter
    asked: Mapping[str, str]
    """The adapter that reads a file, by its path."""

    @property
    def name(self) -> str:
        """Name of the adapter that reads the rest."""
        return self.own.name

    @property
    def tables(self) -> tuple[DeclaredTable, ...]:
        """The tables of all that read."""
        names = sorted(set(self.asked.values()))
        found = [*self.own.tables, *(t for name in names for t in _others()[name].tables)]
        return tuple({table.name: table for table in found}.values())

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Say what the own adapter says."""
        return self.own.sniff(folder)

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield what each adapter makes of its files; media are seen by all."""
        media = [path for path in folder.paths if path not in self.asked and not _holds(path)]
        parts: dict[str, list[str]] = {}
        for path, name in self.asked.items():
            if path in folder.files:
                parts.setdefault(name, list(media)).append(path)
        rest = folder.part(path for path in folder.paths if path not in self.asked)
        return merge(read_parts(folder, parts), self.own.read(rest), key=_place)


def read_parts(folder: ScrapeFolder, parts: Mapping[str, list[str]]) -> Iterator[Record | Problem]:
    """Yield what each named adapter makes of its files, sorted by path and number."""
    known = _others()
    found = [known[name].read(folder.part(sorted(paths))) for name, paths in parts.items()]
    return merge(*found, key=_place)


def _place(item: Record | Problem) -> tuple[str, int]:
    return item.path, item.number


def who_could(folder: ScrapeFolder, path: str) -> str | None:
    """Say who might read a document that nobody read; None for what holds no records."""
    if not _holds(path) or not folder.files[path].size_bytes or owner_of(folder, path):
        return None
    part = folder.part([path])
    answers = _answers(part) or _answers(part, (ANY_JSON,))
    if not answers:
        return None
    name, answer = answers[0]
    return (
        f"no adapter was sure enough of it; {name} could read it ({answer.confidence:.2f} sure: "
        f"{answer.reason}): drystone quarantine replay BATCH --source {name}"
    )


# ---- Dividing ------------------------------------------------------------------------------------


def divide(folder: ScrapeFolder) -> Division:
    """Return who reads what; the same folder gives the same."""
    divider = _Divider(folder)
    divider.visit("", folder.paths, None)
    return divider.division


class _Divider:
    """Walks a folder from above; what begins alike is asked about once."""

    def __init__(self, folder: ScrapeFolder) -> None:
        self._folder = folder
        self._known = _others()
        self.division = Division()

    def visit(self, place: str, paths: list[str], above: str | None) -> None:
        """Divide what is below one folder, whose parent is read by `above`."""
        owner = self._owner(paths, above)
        if not place:
            self.division.is_whole = owner is not None
        own, below = _split(place, paths)
        documents = [path for path in own if _holds(path)]
        others = [path for path in own if not _holds(path)]
        readers = self._share(owner, documents, others)
        for inside in below.values():
            if all(_is_medium(path) for path in inside):
                others += inside
        for name, claimed in readers.items():
            self.division.documents.setdefault(name, []).extend(claimed)
        if owner is not None and self._claims(owner, others):
            self.division.documents.setdefault(owner, [])
        for name in {*readers, *([owner] if owner else [])}:
            self.division.others.setdefault(name, []).extend(others)
        for child, inside in below.items():
            if not all(_is_medium(path) for path in inside):
                self.visit(f"{place}{child}/", inside, owner)

    def _owner(self, paths: list[str], above: str | None) -> str | None:
        part = self._folder.part(paths)
        if above and self._known[above].sniff(part).confidence >= SURE_BELOW:
            return above
        answers = _answers(part)
        if answers and answers[0][1].confidence >= SURE_MIN:
            return answers[0][0]
        return above

    def _claims(self, owner: str, others: list[str]) -> bool:
        """Tell whether files that are no documents are records of the format, as WARCs are."""
        return bool(others) and self._known[owner].sniff(self._folder.part(others)).confidence > 0

    def _share(
        self, owner: str | None, documents: list[str], others: list[str]
    ) -> dict[str, list[str]]:
        """Return who reads which documents of one folder."""
        groups: dict[tuple[str, bytes], list[str]] = {}
        for path in documents:
            known = _beginning(self._folder, path)
            is_one_more = known not in groups and len(groups) >= BEGINNINGS_MAX
            groups.setdefault(("", b"") if is_one_more else known, []).append(path)
        readers: dict[str, list[str]] = {}
        for group in groups.values():
            name = self._reader(owner, group, others)
            if name is not None:
                readers.setdefault(name, []).extend(group)
        return readers

    def _reader(self, owner: str | None, group: list[str], others: list[str]) -> str | None:
        part = self._folder.part([*group, *others])
        if owner is not None and self._known[owner].sniff(part).confidence > 0:
            return owner
        answers = _answers(part)
        if answers and answers[0][1].confidence >= SURE_MIN:
            return answers[0][0]
        # One that reads documents by themselves has nothing to do with what it does not know.
        is_strange = bool(answers) and isinstance(self._known.get(owner or ""), DocumentAdapter)
        return None if is_strange else owner


def _split(place: str, paths: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    own: list[str] = []
    below: dict[str, list[str]] = {}
    for path in paths:
        child, slash, _ = path[len(place) :].partition("/")
        if slash:
            below.setdefault(child, []).append(path)
        else:
            own.append(path)
    return own, below


def _beginning(folder: ScrapeFolder, path: str) -> tuple[str, bytes]:
    """Return what tells documents apart that are of several formats: names they begin with."""
    extension = path.rpartition("/")[2].partition(".")[2].lower()
    if KINDS.get(extension_of(unpacked_name(path))) != "json":
        with folder.open(path) as file:
            return extension_of(path), file.readline(HEAD_BYTES)[:64]
    with folder.open(path) as file:
        names = _NAME.findall(file.read(HEAD_BYTES))
    return extension.rpartition(".")[2], b" ".join(names[:NAMES_ALIKE])


def _holds(path: str) -> bool:
    return extension_of(unpacked_name(path)) in DOCUMENTS


def _is_medium(path: str) -> bool:
    return extension_of(path) in MEDIA_EXTENSIONS


# ---- Asking --------------------------------------------------------------------------------------


def _others() -> dict[str, Adapter]:
    from adapters.sources.registry import adapters  # Which knows this adapter by its name.

    return {name: one for name, one in adapters().items() if name != "mixed"}


def _answers(folder: ScrapeFolder, names: Collection[str] = ()) -> list[tuple[str, Sniff]]:
    """Return who may read a folder, the surest first; of all but those that read anything."""
    known = _others()
    asked = names or known.keys() - {FALLBACK, ANY_JSON}
    answers = [(name, one.sniff(folder)) for name, one in known.items() if name in asked]
    sure = [(name, answer) for name, answer in answers if answer.confidence > 0]
    return sorted(sure, key=lambda pair: -pair[1].confidence)


ADAPTERS = (MixedAdapter(),)
