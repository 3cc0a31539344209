"""Columns against a list of entries: order, choice, look-ups, bytes, and trees made of them."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_bytes import format_manifest

from fsd.format import paths
from fsd.format.manifest import manifest_columns, manifest_keys
from fsd.format.manifest.manifest import ManifestEntry, check_entries, parse_manifest
from fsd.format.manifest.manifest_columns import Columns
from fsd.format.manifest.manifest_form import format_pieces
from fsd.format.manifest.manifest_keys import by_key, deduplicate
from fsd.format.paths import check_relative_path, encode_path, find_collisions, surely_no_collision
from fsd.format.tree import Tree, TreeEntry
from fsd.format.tree_write import write_columns, write_tree

KEYS = [bytes([n]) * 32 for n in range(3)] + [b"\0" * 8 + bytes([n]) * 24 for n in range(3)]
names = st.text(alphabet='aB.-"\\ é\udcff\n', min_size=1, max_size=3)
locations = st.lists(names, min_size=1, max_size=3).map("/".join)
nodes = st.none() | st.integers(-2, 2) | st.sampled_from(["1", "x"])
stored = st.builds(
    ManifestEntry, locations, st.sampled_from(KEYS), st.none(), st.integers(0, 9), nodes
)
texts = st.text(alphabet="aé", max_size=2)
inline = st.builds(ManifestEntry, locations, st.none(), texts, st.none(), nodes)


def is_fine(entry: ManifestEntry) -> bool:
    return check_relative_path(entry.path) is None


def distinct(entries: list[ManifestEntry]) -> list[ManifestEntry]:
    """What may stand together, each text with its size."""
    kept: list[ManifestEntry] = []
    for entry in filter(is_fine, entries):
        found = find_collisions([one.path for one in [*kept, entry]])
        if all(kind == "case" for kind, _, _ in found):
            kept.append(entry)
    return list(check_entries(kept, allow_case_collisions=True).entries)


@pytest.fixture(autouse=True, params=["few in a block, numpy", "one block"])
def blocks(request, monkeypatch):
    if request.param != "one block":
        monkeypatch.setattr(manifest_columns, "BLOCK_ENTRIES", 3)
        monkeypatch.setattr(manifest_columns, "SORTED_BY_NUMPY_MIN", 0)
        monkeypatch.setattr(manifest_keys, "SORTED_BY_NUMPY_MIN", 0)
        monkeypatch.setattr(paths, "SORTED_BY_NUMPY_MIN", 0)


def in_order(entries: list[ManifestEntry]) -> list[ManifestEntry]:
    return sorted(entries, key=lambda entry: encode_path(entry.path))


lists = st.lists(stored | inline, max_size=9).map(distinct)


@given(lists, st.data())
@settings(deadline=None, max_examples=50)
def test_columns_are_a_list_of_entries(entries: list[ManifestEntry], data: st.DataObject):
    columns = Columns(entries)
    assert len(columns) == len(entries)
    assert list(columns.entries()) == entries
    numbers = data.draw(st.permutations(range(len(entries))))
    assert columns.paths_of(numbers) == [encode_path(entries[n].path) for n in numbers]
    more = Columns(entries)
    for entry in entries:  # as many again behind what was looked at already
        more.paths_of(range(len(more)))
        more.add(entry._replace(path=f"+{entry.path}"))
    assert more.paths_of([len(more) - 1] if entries else []) == [
        encode_path(f"+{entry.path}") for entry in entries[-1:]
    ]
    held = [number for number in numbers if entries[number].key is not None]
    assert columns.keys_of(held) == [entries[n].key for n in held] == list(map(columns.key, held))
    mask = bytearray(
        data.draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
    )
    kept = columns.keep(mask)
    assert list(kept.entries()) == [e for e, keep in zip(entries, mask, strict=True) if keep]
    columns.sort()
    assert list(columns.entries()) == in_order(entries)
    assert columns.paths_of(numbers) == [encode_path(in_order(entries)[n].path) for n in numbers]


@given(lists)
@settings(deadline=None, max_examples=50)
def test_the_canonical_bytes_are_read_back_as_they_were(entries: list[ManifestEntry]):
    written = format_manifest(entries)
    parsed = parse_manifest(written.splitlines(keepends=True), allow_case_collisions=True)
    assert list(parsed.entries) == in_order(entries)
    one_by_one = b"".join(format_manifest([entry]) for entry in in_order(entries))
    assert written == one_by_one == b"".join(format_pieces(parsed.columns))


@given(lists)
@settings(deadline=None, max_examples=50)
def test_a_size_that_is_not_known_is_not_written(entries: list[ManifestEntry]):
    sized = [entry for entry in entries if entry.key is not None]
    unsized = in_order([entry._replace(size_bytes=None) for entry in sized])
    written = format_manifest(unsized)
    assert b"size_bytes" not in written
    parsed = parse_manifest(written.splitlines(keepends=True), allow_case_collisions=True)
    assert (list(parsed.entries), parsed.unsized, parsed.size_bytes) == (unsized, len(unsized), 0)


@given(lists)
@settings(deadline=None, max_examples=50)
def test_order_by_key_and_deduplication_are_those_of_a_list(entries: list[ManifestEntry]):
    listed = in_order(entries)
    for mode in ("by_sha256", "by_node"):
        seen, expected = set[object](), list[ManifestEntry]()
        for number, entry in enumerate(listed):
            node = entry.node_id if entry.node_id is not None else ("own", number)
            what = entry.key if mode == "by_sha256" else (entry.key, type(node), node)
            if entry.key is None or what not in seen:
                expected.append(entry)
            seen.add(what)
        kept, dropped, keyed = deduplicate(Columns(entries), mode)
        assert list(kept.entries()) == expected
        assert dropped == len(listed) - len(expected)
        keys = [entry.key for entry in expected]
        by_hand = sorted((key, number) for number, key in enumerate(keys) if key is not None)
        assert list(keyed.order) == [number for _, number in by_hand]
        assert list(keyed.repeats) == [
            at for at in range(1, len(by_hand)) if by_hand[at][0] == by_hand[at - 1][0]
        ]
        assert by_key(kept).order == keyed.order


@given(lists)
@settings(deadline=None, max_examples=50)
def test_a_tree_of_columns_is_the_tree_of_the_entries(
    tmp_path_factory: pytest.TempPathFactory, entries: list[ManifestEntry]
):
    folder = tmp_path_factory.mktemp("tree")
    columns, steps = Columns(entries), list[int]()
    write_columns(folder / "columns", columns, created_ns=5, step=lambda: steps.append(1))
    shuffled = random.Random(1).sample(entries, len(entries))
    files = [
        TreeEntry(e.path, e.key, e.size_bytes or 0, e.text_bytes() if e.key is None else None)
        for e in shuffled
    ]
    write_tree(folder / "entries", files, created_ns=5)
    assert (folder / "columns").read_bytes() == (folder / "entries").read_bytes()
    assert bool(steps) or not entries
    with Tree(folder / "columns") as tree:
        tree.verify()
        assert tree.file_count == len(entries)
        for entry in entries:
            at: int | None = 0
            for name in encode_path(entry.path).split(b"/"):
                assert at is not None
                at = tree.lookup(at, name)
            assert at is not None
            node = tree.node(at)
            assert (node.key, node.size_bytes) == (entry.key, entry.size_bytes)
            if entry.text is not None:
                assert tree.text(at) == entry.text_bytes()


@given(st.lists(locations.filter(lambda path: check_relative_path(path) is None), max_size=8))
def test_no_collision_is_missed_by_hashes(listed: list[str]):
    encoded = [encode_path(path) for path in listed]
    assert surely_no_collision([encoded]) == (not list(find_collisions(listed)))


def test_a_column_of_many_keeps_every_check(tmp_path: Path):
    many = [ManifestEntry(f"d{n % 7}/{n}", n.to_bytes(32, "big"), None, n, n) for n in range(500)]
    random.Random(5).shuffle(many)
    text = format_manifest(many)
    assert [e.node_id for e in parse_manifest(text.splitlines(keepends=True)).entries] == [
        e.node_id for e in in_order(many)
    ]
    columns = Columns(many)
    columns.sort()
    write_columns(tmp_path / "t", columns, created_ns=1, step=lambda: None)
    with Tree(tmp_path / "t") as tree:
        assert (tree.file_count, tree.directory_count) == (500, 8)
        assert tree.size_bytes == sum(range(500))
