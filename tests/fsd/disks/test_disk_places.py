"""Where disks are: folders that are refused, disks that move, and words for what is found."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import drystone, environment
from disk_folders import ODD, folder, mounting, moved, where
from loop_disks import loop_store, needs_loop
from store_checks import assert_batch, disk, put, settle, until, wait_for_state
from store_harness import Store, with_settings, write_files

from base.config import END_LINE
from base.errors import ConfigError, UsageError
from fsd.disk_io.place.disk_place import look, why_missing, why_no_new_disk
from fsd.disk_io.place.identity import make_identity, read_identity
from fsd.disks.config import load_config
from fsd.engine.setup import init_store
from fsd.format.errors import DiskRefusedError, DiskStalledError
from fsd.format.layout import IDENTITY_NAME, IDENTITY_TWIN_NAME

FILES = {f"{number}": os.urandom(50_000) for number in range(12)}


def told(store: Store, number: int) -> str:
    return disk(store, number).reason


# What is at a path


def test_what_is_there_is_told_apart_and_each_says_what_to_do(tmp_path: Path):
    mine, other = "5" * 32, "6" * 32
    disks = {name: str(tmp_path / name) for name in ("d1", "d2", "strange", "twin", "rotten")}
    for name, path in disks.items():
        os.mkdir(path)
        make_identity(path, other if name == "strange" else mine, name)
    os.unlink(os.path.join(disks["twin"], IDENTITY_NAME))
    for name in (IDENTITY_NAME, IDENTITY_TWIN_NAME):
        Path(disks["rotten"], name).write_text("{")
    (tmp_path / "file").write_text("")
    (tmp_path / "empty" / "lost+found").mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for number in range(9):
        (tmp_path / "full" / f"{number}\n").mkdir(parents=True)
    names = {read_identity(disks[name])["disk_id"]: name for name in ("d1", "d2")}
    expected = {
        "nowhere": ("nothing", "there is no .*nowhere; mount d1 there", "there is no "),
        "file": ("file", "is a file, not a folder", "is a file, not a folder; name the folder"),
        "file/below": ("nothing", "there is no ", "there is no "),
        "loop": ("closed", "Too many levels of symbolic links", "Too many levels"),
        "empty": ("empty", "an empty folder: is it mounted. .nothing is mounted there", None),
        "full": ("foreign", r"holds no disk, but '0\\n', '1\\n', '2\\n' and 6 more",
                 "cannot be a disk: it holds .* and 6 more; a new disk is an empty folder"),
        "d2": ("disk", "holds d2, another disk of this store; mount d1 here, or say where",
               "already is a disk"),
        "strange": ("disk", "holds strange, a disk of another store; mount d1", "already is a disk"
                    " of a store: .* of another store"),
        "twin": ("twin", f"copy that to {IDENTITY_NAME}", f"copy that to {IDENTITY_NAME}"),
        "rotten": ("damaged", "is damaged", "already is a disk of a store, but .* is damaged"),
    }  # fmt: skip
    for name, (kind, missing, no_new_disk) in expected.items():
        place = look(str(tmp_path / name))
        assert place.kind == kind, name
        assert re.search(missing, why_missing(place, "d1", mine, names)), name
        refusal = why_no_new_disk(place)
        assert (refusal is None) == (no_new_disk is None), name
        assert no_new_disk is None or re.search(no_new_disk, refusal or ""), (name, refusal)


# New disks


@pytest.mark.fault
def test_a_folder_that_cannot_be_a_new_disk_is_one_clear_error(store, short_tmp):
    made: Store = store(2)
    full, source = folder(short_tmp, "full"), folder(short_tmp, "source")
    write_files(full, {"a": b"", "my photos/b": b""})
    write_files(source, {"file": b""})
    inside = folder(made.disks[0], "inside")
    below = folder(made.config.ssd, "below")
    for path, words in (
        ("new", "is no whole path: name it from / on"),
        ("", "is no whole path"),
        ("/mnt/a\0b", "is no whole path"),
        (f"{short_tmp}/nowhere", "there is no .*name the folder where the disk is mounted"),
        (f"{source}/file", "is a file, not a folder; name the folder"),
        (full, r"it holds 'a', 'my photos'; a new disk is an empty folder"),
        (f"{made.disks[0]}/", "already is a disk of this store: d1, online"),
        (inside, r"it lies in disk d1"),
        (below, r"it lies in the SSD"),
        (made.root, "cannot be a disk"),
        ("/" + "x" * 300, "cannot be looked into .File name too long"),
    ):
        before = sorted(os.listdir(path)) if os.path.isdir(path) else None
        with pytest.raises(UsageError, match=words):
            made.client.disk_add(path)
        assert before is None or sorted(os.listdir(path)) == before, path
        with pytest.raises(UsageError):
            made.client.disk_replace("d1", path)
    assert list(where(made)) == ["d1", "d2"]
    done = drystone("disk", "add", full, env=environment(made), expect=2)
    assert done.stderr.startswith(b"drystone: ") and done.stderr.count(b"\n") == 1
    # What a new filesystem has, and slashes at the end, are nothing.
    fine = folder(short_tmp, "fine", "lost+found")
    assert made.client.disk_add(f"/{os.path.dirname(fine)}//").path == os.path.dirname(fine)


@pytest.mark.fault
def test_a_folder_that_holds_the_store_or_a_part_of_it_is_no_disk(short_tmp):
    outer = folder(short_tmp, "outer")
    a, b = (os.path.join(short_tmp, name) for name in "ab")
    for disks, ssd, root, words in (
        ([outer, a], None, f"{outer}/store", "the store's own folder .* lies in it"),
        ([outer, f"{outer}/b"], None, b, "another of the disks .* lies in it"),
        ([f"{outer}/b", outer], None, b, "lies in another of the disks"),
        ([outer, a], f"{outer}/ssd", b, "the SSD .* lies in it"),
        ([f"{outer}/x/y", a], f"{outer}/x", b, "it lies in the SSD"),
    ):
        with pytest.raises(UsageError, match=words):
            init_store(root, disks, ssd)
        assert os.listdir(outer) == [] and os.listdir(short_tmp) == ["outer"]


def test_init_refuses_what_is_in_the_way_and_one_disk_by_two_names(short_tmp):
    root, a, full = (os.path.join(short_tmp, name) for name in ("store", "a", "full"))
    write_files(full, {"mine": b""})
    with pytest.raises(UsageError, match="it holds 'mine'"):
        init_store(root, [a, full], None)
    os.symlink(a, f"{a}-link")
    for again in (f"{a}/", f"{a}-link"):
        with pytest.raises(UsageError, match="named twice"):
            init_store(root, [a, again], None)
    with pytest.raises(UsageError, match="cannot be made"):
        init_store(root, [a, f"{full}/mine/x"], None)
    assert os.listdir(a) == [] and os.listdir(full) == ["mine"]


@pytest.fixture
def mounts() -> Iterator[Callable[..., str]]:
    with mounting() as mount:
        yield mount


@pytest.mark.fault
def test_a_disk_that_nothing_can_be_written_to(short_tmp, mounts, store):
    readonly = mounts(f"{short_tmp}/ro", "-t", "tmpfs", "-o", "ro", "none")
    made: Store = store(2)
    with pytest.raises(DiskRefusedError, match="cannot be a disk: Read-only file system; mount"):
        made.client.disk_add(readonly)
    writable = mounts(f"{short_tmp}/rw", "-t", "tmpfs", "none")
    with pytest.raises(DiskRefusedError, match="cannot be a disk: Read-only"):
        init_store(f"{short_tmp}/other", [writable, readonly], None)
    # A second try stumbles over nothing.
    assert os.listdir(writable) == []
    assert not os.path.exists(f"{short_tmp}/other/drystone.toml")


def test_a_disk_that_is_mounted_twice_is_one_disk(short_tmp, mounts, store):
    made: Store = store(2)
    twin = mounts(f"{short_tmp}/twin", "--bind", made.disks[0])
    made.client.disk_add(twin)
    assert where(made)["d1"] == twin
    with pytest.raises(UsageError, match="already is a disk of this store: d1, online"):
        made.client.disk_add(twin)
    made.stop()
    made.start()
    assert [one.state for one in made.client.disks()] == ["online"] * 2
    fresh = folder(short_tmp, "fresh")
    again = mounts(f"{short_tmp}/again", "--bind", fresh)
    with pytest.raises(UsageError, match="named twice"):
        init_store(f"{short_tmp}/other", [fresh, again], None)


@pytest.mark.fault
def test_a_path_that_hangs_keeps_nobody_else_waiting(short_tmp, store):
    """As an identity file that cannot be opened does."""
    made: Store = store(2, started=False)
    with_settings(made.root, stall_timeout_s=1.0)
    made.start()
    path = folder(short_tmp, "hangs")
    os.mkfifo(os.path.join(path, IDENTITY_NAME))
    with pytest.raises(DiskStalledError):
        made.client.disk_add(path)
    assert made.client.disk_add(folder(short_tmp, "fine")).state == "online"


# Disks that are elsewhere now


@pytest.mark.fault
@pytest.mark.parametrize("name", ["elsewhere", ODD])
def test_a_missing_disk_is_taken_where_it_is_now_and_looked_for_there(store, short_tmp, name):
    made: Store = store(3)
    before = where(made)
    path = moved(made, 0, os.path.join(short_tmp, name))
    until(lambda: made.client.disks()[0].state == "missing", "the disk to be missing")
    until(
        lambda: f"there is no {made.root}/d1; mount d1 there" in made.client.disks()[0].reason,
        "the words",
    )
    added = drystone("disk", "add", path, env=environment(made), expect=0)
    assert b"d1" in added.stderr and b"online" in added.stderr
    assert where(made) == {**before, "d1": path}
    made.stop()
    made.start()
    assert disk(made, 0).state == "online"


def test_a_disk_in_use_elsewhere_is_written_down(store, short_tmp):
    """By hand it was written wrongly, beside what else there is, while the engine runs."""
    made: Store = store(2)
    text = Path(made.config_path).read_text()
    edited = (
        text.replace('path = "d1"', 'path = "wrong"  # bay 1')
        + "\n[gui]\nenabled = false\napi_enabled = false\n"
    )
    Path(made.config_path).write_text(edited)
    made.client.disk_add(made.disks[0])
    assert Path(made.config_path).read_text() == edited.replace('"wrong"', '"d1"')
    with pytest.raises(UsageError, match="already is a disk of this store: d1, online"):
        made.client.disk_add(made.disks[0])


@pytest.mark.fault
def test_a_hand_edit_is_followed_for_a_missing_disk(store, short_tmp):
    made: Store = store(2)
    path = moved(made, 0, os.path.join(short_tmp, "elsewhere"))
    until(lambda: made.client.disks()[0].state == "missing", "the disk to be missing")
    text = Path(made.config_path).read_text()
    Path(made.config_path).write_text(text.replace('path = "d1"', f'path = "{path}"'))
    until(lambda: made.client.disks()[0].state == "online", "the disk to be found")
    assert made.client.disks()[0].path == path


def test_one_that_drystone_toml_lists_no_more_is_listed_again(store):
    made: Store = store(3)
    text = Path(made.config_path).read_text()
    Path(made.config_path).write_text(text[: text.rindex("[[disk]]")] + END_LINE + "\n")
    assert list(where(made)) == ["d1", "d2"]
    assert made.client.disk_add(made.disks[2]).name == "d3"
    assert list(where(made)) == ["d1", "d2", "d3"]


def test_a_gone_disk_that_drystone_toml_lists_no_more_comes_back(store, short_tmp):
    made: Store = store(3, copies_raw=1, copies_generated=1)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    number = max(range(3), key=lambda one: disk(made, one).shards)
    name, shards = disk(made, number).name, disk(made, number).shards
    os.rename(made.disks[number], f"{made.disks[number]}.away")
    wait_for_state(made, number, "missing")
    made.client.wait(made.client.rebuild(name).job_id)
    made.stop()
    parts = Path(made.config_path).read_text().split("[[disk]]")
    kept = [one for one in parts if f'name = "{name}"' not in one]
    assert len(kept) == len(parts) - 1
    Path(made.config_path).write_text("[[disk]]".join(kept) + f"\n{END_LINE}\n")
    Store(made.root, load_config(made.config_path), []).start()
    os.rename(f"{made.disks[number]}.away", made.disks[number])
    assert made.client.disk_add(made.disks[number]).name == name
    until(lambda: disk(made, number).shards == shards, "its copies to count")
    assert sorted(where(made)) == ["d1", "d2", "d3"]
    assert_batch(made, "first", FILES)


@pytest.mark.fault
def test_what_cannot_be_written_down_changes_nothing(store, short_tmp):
    made: Store = store(3)
    path = moved(made, 0, os.path.join(short_tmp, "elsewhere"))
    until(lambda: made.client.disks()[0].state == "missing", "the disk to be missing")
    os.mkdir(f"{made.config_path}.tmp")
    with pytest.raises(ConfigError, match=r"cannot be written .*nothing was changed"):
        made.client.disk_add(path)
    assert made.client.disks()[0].state == "missing"
    made.client.wait(made.client.rebuild("d1").job_id)
    with pytest.raises(ConfigError, match=r"cannot be written .*nothing was changed"):
        made.client.disk_add(path)
    assert made.client.disks()[0].state == "gone"
    os.rmdir(f"{made.config_path}.tmp")
    assert made.client.disk_add(path).state == "online"


@pytest.mark.fault
def test_folders_that_were_swapped_are_told_apart(store, short_tmp):
    made: Store = store(3)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    made.stop()
    first, second, _ = made.disks
    for old, new in ((first, f"{first}.x"), (second, first), (f"{first}.x", second)):
        os.rename(old, new)
    made.start()
    assert {one.name: (one.path, one.state) for one in made.client.disks()} == {
        "d1": (second, "online"),
        "d2": (first, "online"),
        "d3": (made.disks[2], "online"),
    }
    assert_batch(made, "first", FILES)
    made.client.disk_add(first)
    made.client.disk_add(second)
    assert where(made) == {"d1": second, "d2": first, "d3": made.disks[2]}


@pytest.mark.fault
def test_the_path_of_a_dead_disk_is_used_by_another(store, short_tmp):
    made: Store = store(3)
    place = made.disks[0]
    os.rename(place, f"{place}.dead")
    until(lambda: made.client.disks()[0].state == "missing", "the disk to be missing")
    os.mkdir(place)
    until(lambda: "is an empty folder: is it mounted?" in told(made, 0), "the words")
    assert made.client.disk_add(place).name == "d4"
    until(lambda: "holds d4, another disk of this store" in made.client.disks()[0].reason,
          "the words")  # fmt: skip
    made.stop()
    made.start()
    states = {one.name: one.state for one in made.client.disks()}
    assert states == {"d1": "missing", "d2": "online", "d3": "online", "d4": "online"}
    back = f"{place}.dead"
    assert made.client.disk_add(back).state == "online"
    assert where(made)["d1"] == back and where(made)["d4"] == place


class TestMountPoints:
    """On real small filesystems."""

    pytestmark = needs_loop

    @pytest.mark.fault
    def test_disks_swapped_between_two_mount_points(self, disk_tmp):
        with loop_store(disk_tmp, 3) as (made, disks):
            made.stop()
            one, two = disks[0].path, disks[1].path
            for each in disks[:2]:
                each.unmount()
            disks[0].path, disks[1].path = two, one
            disks[0].mount()
            made.start()
            d1 = next(each for each in made.client.disks() if each.name == "d1")
            assert "holds d0, another disk of this store; mount d1 here, or say" in d1.reason
            disks[1].mount()
            until(lambda: {each.state for each in made.client.disks()} == {"online"}, "all of them")
            assert {each.name: each.path for each in made.client.disks()} == {
                "d0": two, "d1": one, "d2": disks[2].path
            }  # fmt: skip
            made.client.disk_add(two)
            made.client.disk_add(one)
            assert where(made) == {"d0": two, "d1": one, "d2": disks[2].path}
