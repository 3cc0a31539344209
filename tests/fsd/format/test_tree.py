"""The tree file: golden bytes, a model to compare with, and damage of every kind."""

import hashlib
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import DrystoneError
from fsd.format.paths import check_relative_path, encode_path, find_collisions
from fsd.format.tree import ROOT, CorruptTreeError, Tree, TreeEntry
from fsd.format.tree_write import write_tree

KEY = bytes(range(32))
CREATED_NS = 1_700_000_000_000_000_000


def tree_of(path: Path, *entries: TreeEntry) -> Tree:
    write_tree(path, entries, created_ns=CREATED_NS)
    return Tree(path)


def key_of(path: str) -> bytes:
    return hashlib.sha256(encode_path(path)).digest()


def walk(tree: Tree, directory: int = ROOT, prefix: bytes = b"") -> dict[bytes, bytes]:
    """Every file by path: its key, or the bytes of its text."""
    found: dict[bytes, bytes] = {}
    for child in tree.children(directory):
        node = tree.node(child.node)
        assert (node.name, node.kind, node.parent) == (child.name, child.kind, directory)
        assert (node.size_bytes, node.mtime_ns) == (child.size_bytes, child.mtime_ns)
        assert tree.lookup(directory, child.name) == child.node
        path = prefix + child.name
        if child.kind == "dir":
            assert node.child_count > 0
            found.update(walk(tree, child.node, path + b"/"))
        else:
            found[path] = node.key if node.key is not None else tree.text(child.node)
    return found


def test_golden_bytes(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path / "golden",
        TreeEntry("b", KEY, 5),
        TreeEntry("a/y", None, 0, b"hi"),
        TreeEntry("a/\udcff", KEY, 7, None, 9),
    )
    tree.close()
    zero = "00" * 8
    created = CREATED_NS.to_bytes(8, "little").hex()

    def u64(number: int) -> str:
        return number.to_bytes(8, "little").hex()

    expected_header = (
        "4452595452454531" + "01000000" + "40000000"
        + u64(5) + u64(3) + u64(2) + u64(14)
        + created
        + u64(128) + u64(128 + 5 * 64) + u64(128 + 5 * 64 + 4) + u64(128 + 5 * 64 + 4 + 2)
    )  # fmt: skip
    expected_body = (
        # root: children 1 and 2
        "01000000" + "02000000" + "00" * 24 + zero + created + u64(0) + "00000000" + "00000000"
        # a: children 3 and 4
        + "03000000" + "02000000" + "00" * 24 + zero + created + u64(0) + "00000000" + "01000000"
        # b
        + KEY.hex() + u64(5) + created + u64(1) + "00000000" + "01010000"
        # a/y
        + zero + "00" * 24 + u64(2) + created + u64(2) + "01000000" + "01020000"
        # a/<ff>
        + KEY.hex() + u64(7) + u64(9) + u64(3) + "01000000" + "01010000"
        + b"aby\xffhi".hex()
    )  # fmt: skip
    content = (tmp_path / "golden").read_bytes()
    assert content[:88].hex() == expected_header
    assert content[96:120] == bytes(24)
    assert content[128:].hex() == expected_body
    # Fixed by xxh3-64 of the bytes above.
    assert content[88:96].hex() == "c8a65b2dbdc6f989"
    assert content[120:128].hex() == "f861547064ed3b22"


def test_counts_and_nodes(tmp_path: Path) -> None:
    entries = [
        TreeEntry("a-b", KEY, 1),
        TreeEntry("a/b/c", KEY, 2, None, 3),
        TreeEntry("a/b.txt", None, 99, b"text"),
        TreeEntry("a.", KEY, 4),
    ]
    with tree_of(tmp_path / "t", *entries) as tree:
        assert (tree.node_count, tree.file_count, tree.directory_count) == (7, 4, 3)
        assert tree.size_bytes == 1 + 2 + 4 + 4
        assert [child.name for child in tree.children(ROOT)] == [b"a", b"a-b", b"a."]
        root = tree.node(ROOT)
        assert (root.kind, root.name, root.parent, root.mtime_ns) == ("dir", b"", 0, CREATED_NS)
        assert tree.lookup(ROOT, b"nothing") is None
        text = tree.lookup(tree.lookup(ROOT, b"a") or 0, b"b.txt") or 0
        assert (tree.text(text), tree.node(text).size_bytes) == (b"text", 4)
        tree.verify()


def test_misuse_is_an_error_of_its_own_kind(tmp_path: Path) -> None:
    with tree_of(tmp_path / "t", TreeEntry("a", KEY, 1)) as tree:
        for wrong in (-1, 2, 2**40):
            with pytest.raises(IndexError):
                tree.node(wrong)
        with pytest.raises(NotADirectoryError):
            tree.lookup(1, b"x")
        with pytest.raises(NotADirectoryError):
            next(tree.children(1))
        with pytest.raises(ValueError, match="not a text"):
            tree.text(1)
    tree.close()
    for ask in (lambda: tree.node(0), tree.verify):
        with pytest.raises(ValueError, match="closed"):
            ask()


def test_an_empty_tree_has_a_root(tmp_path: Path) -> None:
    with tree_of(tmp_path / "t") as tree:
        assert (tree.node_count, tree.file_count, tree.directory_count) == (1, 0, 1)
        assert list(tree.children(ROOT)) == []
        assert tree.lookup(ROOT, b"a") is None


def test_listing_resumes_at_any_position(tmp_path: Path) -> None:
    paths = [f"d/{number:05}" for number in range(10_000)]
    shuffled = random.Random(3).sample(paths, len(paths))
    with tree_of(tmp_path / "t", *(TreeEntry(p, key_of(p), 1) for p in shuffled)) as tree:
        directory = tree.lookup(ROOT, b"d") or 0
        names = [child.name for child in tree.children(directory)]
        assert names == [path[2:].encode() for path in paths]
        for start in (0, 1, 63, 64, 65, 4096, 9_999, 10_000, 20_000):
            rest = list(tree.children(directory, start))
            assert [child.name for child in rest] == names[start:]
        assert all(tree.lookup(directory, name) is not None for name in names[::97])
        assert tree.lookup(directory, b"") is None
        assert tree.lookup(directory, b"zzz") is None


def test_closing_does_not_wait_for_an_abandoned_listing(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "t", *(TreeEntry(f"{n}", KEY, 1) for n in range(500)))
    listing = tree.children(ROOT)
    next(listing)
    tree.close()
    with pytest.raises(ValueError, match="closed"):
        list(listing)


names = st.binary(min_size=1, max_size=4).map(os.fsdecode) | st.sampled_from("ab.-")
tree_paths = st.lists(
    st.lists(names, min_size=1, max_size=4).map("/".join), max_size=25, unique=True
)


@given(tree_paths, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_tree_holds_exactly_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], shuffle: random.Random
) -> None:
    paths = [path for path in paths if check_relative_path(path) is None]
    entries = [
        TreeEntry(p, key_of(p), 3) if len(p) % 3 else TreeEntry(p, None, 0, encode_path(p))
        for p in paths
    ]
    shuffle.shuffle(entries)
    path = tmp_path_factory.mktemp("tree") / "t"
    if {kind for kind, _, _ in find_collisions(paths)} - {"case"}:
        with pytest.raises(ValueError, match="both a file and a folder"):
            write_tree(path, entries, created_ns=0)
        assert os.listdir(path.parent) == []
        return
    with tree_of(path, *entries) as tree:
        expected = {encode_path(e.path): e.key if e.key is not None else e.text for e in entries}
        assert walk(tree) == expected
        tree.verify()
    again = path.with_name("again")
    write_tree(again, reversed(entries), created_ns=CREATED_NS)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "a/./b", "..", "a\0b", "a\0", "x" * 256, "é" * 128]
)
def test_impossible_paths_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a tree"):
        write_tree(tmp_path / "t", [TreeEntry("ok", KEY, 1), TreeEntry(path, KEY, 1)], created_ns=0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "entry",
    [
        TreeEntry("a", None, 1),
        TreeEntry("a", b"short", 1),
        TreeEntry("a", KEY, 1, b"both"),
        TreeEntry("a", KEY, -1),
        TreeEntry("a", KEY, 2**64),
        TreeEntry("a", KEY, 1, None, 2**63),
    ],
)
def test_impossible_entries_are_refused(tmp_path: Path, entry: TreeEntry) -> None:
    with pytest.raises(ValueError, match=r"needs a key|64 bits"):
        write_tree(tmp_path / "t", [entry], created_ns=0)
    assert os.listdir(tmp_path) == []


def test_the_seal_may_be_in_a_view_and_a_rewrite_replaces(tmp_path: Path) -> None:
    path = tmp_path / "t"
    (tmp_path / "t.tmp").write_bytes(b"left by a crash")
    old = tree_of(path, TreeEntry("old", KEY, 1))
    with tree_of(path, TreeEntry("_SEALED", None, 0, b""), TreeEntry("_JOB.json", None, 0, b"{}")):
        assert old.lookup(ROOT, b"old") == 1
    old.close()
    assert os.listdir(tmp_path) == ["t"]


@pytest.fixture(name="content")
def small_tree(tmp_path: Path) -> bytes:
    paths = ["a/b/c", "a/d", "e", "f/g"]
    entries = [TreeEntry(p, key_of(p), 1) for p in paths]
    write_tree(tmp_path / "whole", [*entries, TreeEntry("t", None, 0, b"text")], created_ns=0)
    return (tmp_path / "whole").read_bytes()


def test_every_truncation_is_recognised(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cut"
    for size_bytes in range(len(content)):
        path.write_bytes(content[:size_bytes])
        with pytest.raises(CorruptTreeError):
            Tree(path)
    path.write_bytes(content + b"x")
    with pytest.raises(CorruptTreeError):
        Tree(path)


def exercise(tree: Tree) -> None:
    """Read everything; damage may show as CorruptTreeError, or as a wrong answer."""
    for index in range(tree.node_count):
        node = tree.node(index)
        if node.kind == "dir":
            for child in tree.children(index):
                tree.lookup(index, child.name)
        elif node.kind == "text":
            tree.text(index)


def test_a_flipped_bit_anywhere_never_escapes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "flipped"
    for position in range(len(content)):
        for mask in (1, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[position] ^= mask
            path.write_bytes(damaged)
            if position < 128:
                with pytest.raises(CorruptTreeError):
                    Tree(path)
                continue
            with Tree(path) as tree:
                with pytest.raises(CorruptTreeError):
                    tree.verify()
                try:
                    exercise(tree)
                except DrystoneError as error:
                    assert isinstance(error, CorruptTreeError)


@pytest.mark.fault
def test_a_file_that_is_cut_off_under_its_reader_is_an_error(tmp_path: Path) -> None:
    """Read through the map, what is not there (or a bad sector) would kill the process: SIGBUS."""
    path = tmp_path / "cut"
    paths = [f"{number}".zfill(100) for number in range(1000)]
    tree_of(path, *(TreeEntry(one, key_of(one), 1) for one in paths)).close()
    program = "import os, sys; from fsd.format.tree import Tree; tree = Tree(sys.argv[1])"
    program += "; os.truncate(sys.argv[1], 200); tree.verify()"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "CorruptTreeError" in done.stderr.splitlines()[-1]


def test_several_threads_read_one_tree(tmp_path: Path) -> None:
    paths = [f"{n % 7}/{n}" for n in range(2_000)]
    failures: list[BaseException] = []
    with tree_of(tmp_path / "t", *(TreeEntry(p, key_of(p), 1) for p in paths)) as tree:
        expected = walk(tree)

        def read() -> None:
            try:
                assert walk(tree) == expected
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failures == []
