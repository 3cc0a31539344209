"""The tree of a view in the mount: its file is opened once, for all who wait for it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import trio
import trio.testing

from fsd.format.tree import ROOT, Tree, TreeEntry
from fsd.format.tree_write import write_tree
from fsd.mount.trees import MountedTree

WAITING = 5


@pytest.mark.parametrize("fails", [False, True])
def test_who_waits_for_a_listing_shares_what_comes_of_it(tmp_path: Path, fails: bool):
    """All of it is read, so that one after the other would keep the mount's tasks waiting."""
    write_tree(tmp_path / "tree", [TreeEntry("a", bytes(32), 1)], created_ns=1)
    tries: list[Tree | None] = []
    read = trio.Event()

    async def open_tree() -> Tree:
        await read.wait()
        tries.append(None if fails else Tree(tmp_path / "tree"))
        if tries[-1] is None:
            raise OSError(errno.EIO, "a bad sector")
        return tries[-1]

    async def ask_together() -> None:
        nonlocal read
        read = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(WAITING):
                nursery.start_soon(mounted.open_folder, ROOT)
                await trio.testing.wait_all_tasks_blocked()
            read.set()

    mounted = MountedTree(1, ("exports/1/l", "", 0), open_tree, None)
    trio.run(ask_together)
    assert len(tries) == 1
    if not fails:
        assert mounted.tree is tries[0]
        return
    with pytest.raises(OSError, match="a bad sector"):
        _ = mounted.tree
    trio.run(ask_together)
    assert len(tries) == 2, "later ones try again"
