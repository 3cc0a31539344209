"""Which names may become files: relative paths of manifests, identifiers of folders, collisions.

This module owns the rules and nothing else: it is pure and never looks at a filesystem.

A path is a `str` in the form `os.fsdecode` gives: bytes that are not UTF-8 travel as lone
surrogates U+DC80..U+DCFF (PEP 383). A string that uses them for bytes which *are* UTF-8 is refused,
because two different strings would then name one file.
"""

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence

# The limits of ext4, XFS and btrfs for one name, and PATH_MAX (4,096) less room for the area's own
# folders in front of the path.
COMPONENT_SIZE_BYTES_MAX = 255
PATH_SIZE_BYTES_MAX = 4_000
IDENTIFIER_SIZE_BYTES_MAX = 200

# The seal's own files lie beside the manifest's files in every sealed folder; the journal of parts
# lies beside them until then.
RESERVED_NAMES = ("_JOB.json", "_SEALED", "_PARTS", "_PARTS.tmp")
_RESERVED_FOLDED = frozenset(name.casefold() for name in RESERVED_NAMES)

# Importing numpy takes as long as sorting a hundred thousand numbers without it.
SORTED_BY_NUMPY_MIN = 100_000

# Matches an empty, `.` or `..` component anywhere (so also a leading, doubled or trailing slash).
_BAD_COMPONENT = re.compile(r"(?:^|/)(?:\.{0,2})(?:/|\Z)")
# Where a path that begins and ends with a newline has one of these, it is looked at closely.
_SUSPICIOUS = (b"//", b"/.", b"\n/", b"\n.", b"\n_", b"/\n")
_PLAIN_IDENTIFIER_CHARACTERS = frozenset("._ -")


def encode_path(path: str) -> bytes:
    """The bytes the kernel sees. Raises UnicodeEncodeError for surrogates that carry no byte."""
    return path.encode("utf-8", "surrogateescape")


def decode_path(path: bytes) -> str:
    """The `str` form of any path bytes, valid UTF-8 or not; `encode_path` gives them back."""
    return path.decode("utf-8", "surrogateescape")


def check_relative_path(path: str) -> str | None:
    """Why this path may not be made below a target folder, or None when it may.

    Backslashes and newlines are ordinary characters (this is Linux). The reserved names are
    refused at the top level whatever their case, because they would collide with the seal's files
    once the folder is copied to a filesystem that ignores case.
    """
    if not path:
        return "the path is empty"
    # Five substring tests take a third of the time of the regular expression.
    suspicious = path[0] in "/._" or path[-1] == "/" or "//" in path or "/." in path
    if suspicious and _BAD_COMPONENT.search(path) is not None:
        return _explain_component(path)
    if "\0" in path:
        return "the path contains a NUL byte"
    if suspicious and path.partition("/")[0].casefold() in _RESERVED_FOLDED:
        return f"{path.partition('/')[0]!r} is reserved at the top level for the seal"
    if path.isascii() and len(path) <= COMPONENT_SIZE_BYTES_MAX:
        return None
    return _check_encoding(path) or _check_sizes(path)


def all_surely_fine(paths: Iterable[bytes]) -> bool:
    """Whether `check_relative_path` takes each of these for certain; False may mean nothing.

    Only for paths of 1-255 printable ASCII characters. Six searches in all paths at once take a
    tenth of the time of a call for each.
    """
    joined = b"\n".join((b"", *paths, b""))
    return not any(part in joined for part in _SUSPICIOUS)


def _explain_component(path: str) -> str:
    if path.startswith("/"):
        return "the path is absolute; it must be relative to the target folder"
    for component in path.split("/"):
        if component in (".", ".."):
            return f"the path has a {component!r} component"
    return "the path has an empty component (a doubled or trailing slash)"


def _check_encoding(path: str) -> str | None:
    try:
        encoded = encode_path(path)
    except UnicodeEncodeError:
        return "the path has a surrogate that stands for no byte"
    if decode_path(encoded) != path:
        return "the path escapes bytes that are valid UTF-8; write them as characters"
    return None


def _check_sizes(path: str) -> str | None:
    encoded = encode_path(path)
    if len(encoded) > PATH_SIZE_BYTES_MAX:
        return f"the path has {len(encoded)} bytes, at most {PATH_SIZE_BYTES_MAX} are allowed"
    longest = max(map(len, encoded.split(b"/")))
    if longest > COMPONENT_SIZE_BYTES_MAX:
        return f"a name has {longest} bytes, at most {COMPONENT_SIZE_BYTES_MAX} are allowed"
    return None


def check_identifier(text: str) -> str | None:
    """Why this batch name, id or layout id may not become one folder name, or None when it may.

    Letters, marks and digits of any script, and `._ -`; 1-200 bytes of UTF-8; no leading dot (the
    areas keep `.tmp` for themselves), no space at either end, none of the seal's names.
    """
    if not text:
        return "the identifier is empty"
    if text.startswith("."):
        return "an identifier does not start with a dot"
    for character in text:
        if not _is_identifier_character(character):
            return f"{character!r} is not allowed in an identifier"
    if text != text.strip(" "):
        return "an identifier does not start or end with a space"
    if text.casefold() in _RESERVED_FOLDED:
        return f"{text!r} is reserved for the seal"
    size_bytes = len(text.encode("utf-8"))
    if size_bytes > IDENTIFIER_SIZE_BYTES_MAX:
        return f"the identifier has {size_bytes} bytes, the limit is {IDENTIFIER_SIZE_BYTES_MAX}"
    return None


def check_layout(text: str) -> str | None:
    """Why this may not be the layout id of a stage, or None when it may: `shrinker`, `shrinker/0`.

    What follows the slash is a part of the layout: it lies below, and is made and released alone.
    """
    layout, slash, part = text.partition("/")
    return check_identifier(layout) or (check_identifier(part) if slash else None)


def _is_identifier_character(character: str) -> bool:
    # Marks (category M) belong to the letters of many scripts, and to decomposed accents.
    return (
        character in _PLAIN_IDENTIFIER_CHARACTERS
        or character.isalnum()
        or unicodedata.category(character).startswith("M")
    )


def fold_path(path: str) -> str:
    """The path as a filesystem that ignores case and normalisation compares it.

    This is Unicode's canonical caseless matching (standard, section 3.13, D145). A path that folds
    to itself is returned as the same object, so that a table of both costs one string.
    """
    if path.isascii():
        folded = path.lower()
    else:
        folded = unicodedata.normalize("NFD", path).casefold()
        folded = unicodedata.normalize("NFC", folded)
    return path if folded == path else folded


def find_collisions(paths: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, earlier, later) for every path that cannot stand beside an earlier one.

    `duplicate`: the same path twice. `file and folder`: a path is both. `case`: two files or
    folders, at any level, that differ only in case or Unicode normalisation. Paths are expected
    to have passed `check_relative_path`; they are read once, and problems come in that order.
    Memory: one table entry per file and folder, plus a folded copy of names that have capitals.
    """
    files, folders = _Names(), _Names()
    folder_last = ""
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder != folder_last:
            yield from _add_folders(folder, files, folders)
            folder_last = folder
        folded = fold_path(path)
        if folded not in files.first and folded not in folders.first:
            files.first[folded] = path  # Nearly always: there is nothing to compare it with.
            continue
        if files.has(folded, path):
            yield "duplicate", path, path
            continue
        yield from _compare(folded, path, folders, files)
        files.add(folded, path)


def surely_no_collision(blocks: Iterable[Sequence[bytes]]) -> bool:
    """Whether `find_collisions` finds nothing in the paths of all blocks for certain.

    False may mean nothing. By hashes: it takes eight bytes for each file, and an object for each
    folder. Names whose hashes meet by chance only cost the exact comparison.
    """
    hashes, folders = array("q"), set[bytes]()
    for paths in blocks:
        hashes.extend(map(hash, _folded(paths)))
        folders.update({path.rpartition(b"/")[0] for path in paths})
    for folder in list(folders):
        above = folder.rpartition(b"/")[0]
        while above not in folders:
            folders.add(above)
            above = above.rpartition(b"/")[0]
    folders.discard(b"")
    hashes.extend(map(hash, _folded(list(folders))))
    return all_differ(hashes)


def _folded(paths: Sequence[bytes]) -> list[bytes]:
    """Each path as `fold_path` gives it."""
    joined = b"\0".join(paths)
    if joined.isascii():
        return joined.lower().split(b"\0") if paths else []
    return [encode_path(fold_path(decode_path(path))) for path in paths]


def all_differ(numbers: "array[int]") -> bool:
    """Whether no number is there twice; it may sort them."""
    if len(numbers) < SORTED_BY_NUMPY_MIN:
        return len(set(numbers)) == len(numbers)
    import numpy as np

    ordered = np.frombuffer(numbers, np.int64)
    ordered.sort()
    return not bool((ordered[1:] == ordered[:-1]).any())


def _add_folders(folder: str, files: "_Names", folders: "_Names") -> Iterator[tuple[str, str, str]]:
    """Register a folder and those above it; a known folder means the ones above are known too."""
    while folder:
        folded = fold_path(folder)
        if folders.has(folded, folder):
            return
        yield from _compare(folded, folder, files, folders)
        folders.add(folded, folder)
        folder = folder.rpartition("/")[0]


def _compare(
    folded: str, path: str, opposite: "_Names", same: "_Names"
) -> Iterator[tuple[str, str, str]]:
    if opposite.has(folded, path):
        yield "file and folder", path, path
        return
    earlier = same.first.get(folded) or opposite.first.get(folded)
    if earlier is not None:
        yield "case", earlier, path


class _Names:
    """The files, or the folders, seen so far: by folded name, and the rare further spellings."""

    __slots__ = ("first", "others")

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        self.others: set[str] = set()

    def has(self, folded: str, path: str) -> bool:
        first = self.first.get(folded)
        return first is not None and (first == path or path in self.others)

    def add(self, folded: str, path: str) -> None:
        if self.first.setdefault(folded, path) != path:
            self.others.add(path)
