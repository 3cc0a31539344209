"""Whether a disk may go: places for what it holds, and its identity afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_checks import put
from store_harness import write_files

from fsd.disk_io.place.identity import check_identity, make_identity, read_identity, retire_identity
from fsd.format.errors import DiskRefusedError
from fsd.planning.placement import DiskSpace
from fsd.replicas.removal_check import find_places

STORE = "5" * 32


def space(name: str, free: int, domain: str = "", *, eligible: bool = True) -> DiskSpace:
    return DiskSpace(name, free, domain or name, eligible)


def test_what_fits_is_placed_apart():
    spaces = [space("a", 100), space("b", 60), space("c", 1000, eligible=False)]
    found = find_places([(1, 50, ["a"]), (1, 100, ["b"])], spaces)
    assert (found.moved_bytes, found.shards, found.unplaced_bytes) == (150, 2, 0)
    # The second replica would have to lie beside the first.
    found = find_places([(1, 50, ["a"]), (1, 50, ["a"])], spaces)
    assert (found.unplaced_bytes, found.unplaced_shards) == (50, 1)
    assert find_places([(2, 10, [])], [space("a", 100, "x"), space("b", 100, "x")]).unplaced_bytes
    both = [space("a", 100, "x"), space("b", 100, "x")]
    assert not find_places([(2, 10, [])], both, allow_same_domain=True).unplaced_bytes


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50), st.just(())), max_size=20),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_nothing_is_placed_where_there_is_no_room(needs, rooms):
    spaces = [space(f"d{n}", room) for n, room in enumerate(rooms)]
    found = find_places(needs, spaces)
    assert found.moved_bytes == sum(copies * size for copies, size, _ in needs)
    assert found.moved_bytes - found.unplaced_bytes <= sum(rooms)


def test_a_retired_disk_is_refused(tmp_path):
    disk_id = make_identity(str(tmp_path), STORE, "one")["disk_id"]
    assert check_identity(str(tmp_path), disk_id, STORE)
    retire_identity(str(tmp_path))
    assert read_identity(str(tmp_path))["retired"] is True
    with pytest.raises(DiskRefusedError, match=r"disk one .* was retired"):
        check_identity(str(tmp_path), disk_id, STORE)


def test_what_was_just_put_does_not_keep_a_disk(store, tmp_path):
    """The shards of a put that has ended are sealed before the question is answered."""
    made = store(3, copies_raw=2)
    put(made, write_files(str(tmp_path / "source"), {"one": b"1" * 4000}), "first")
    answers = [made.client.disk_removal(disk.name) for disk in made.client.disks()]
    assert sum(not answer.safe for answer in answers) == 2
    for answer in answers:
        assert "lost" not in answer.reason, answer
        assert answer.safe or "fewer copies than wanted" in answer.reason, answer
    free = next(answer for answer in answers if answer.safe)
    assert free.advice == f"drystone disk retire {free.name}"
