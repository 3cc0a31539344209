"""What the store says it holds: on real disks, also after losing one, and which disk to buy."""

from __future__ import annotations

import os
import shlex

from command import drystone, environment
from loop_disks import loop_store, needs_loop
from store_checks import assert_clean, disk, finish, put, settle, until
from store_harness import MIB, Store, write_files

from fsd.disks.config import load_config
from fsd.engine.setup import init_store


def fill(store: Store, short_tmp: str) -> None:
    files = {str(number): os.urandom(300_000) for number in range(40)}
    put(store, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(store)


class TestOnRealDisks:
    """Free space as filesystems of their own give it."""

    pytestmark = needs_loop

    def test_what_a_loss_takes_has_to_go_somewhere(self, short_tmp):
        with loop_store(short_tmp, 3) as (store, disks):
            fill(store, short_tmp)
            before = store.client.capacity()
            assert before.unplaced_after_loss_bytes == 0
            # The copies of the lost disk are made again in what is left of the others.
            free = sorted(one.free_bytes - MIB for one in store.client.disks())
            assert 0 < before.usable_after_loss_bytes < free[0]
            for one in disks[1:]:
                one.fill()
            for number in (1, 2):
                until(lambda n=number: disk(store, n).free_bytes < MIB, "the engine to see it full")
            after = store.client.capacity()
            lost = disk(store, 0)
            assert after.usable_bytes == after.usable_after_loss_bytes == 0
            assert after.worst_loss == lost.name
            assert after.unplaced_after_loss_bytes == lost.stored_bytes > 0
            shown = drystone("capacity", env=environment(store)).stdout.decode()
            assert f"after losing {lost.name}, " in shown and "no place" in shown


def test_one_disk_more_that_adds_nothing_is_said(store):
    made = store(3, copies_raw=3, copies_generated=3)
    for name in ("d1", "d2"):
        made.client.disk_retire(name)
    assert "one disk more would add nothing" in made.client.capacity().advice[-1]


def test_advice_may_be_pasted_whatever_the_disk_is_called(short_tmp):
    """What is said is a command: a name with a space is one word of it."""
    root = os.path.join(short_tmp, "s")
    paths = [os.path.join(root, name) for name in ("My Passport", "My Book", "d3")]
    config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=MIB)
    made = Store(root, load_config(os.path.join(root, "drystone.toml")), paths)
    assert [one.name for one in config.disk] == ["My Passport", "My Book", "d3"]
    made.start()
    try:
        fill(made, short_tmp)
        answer = made.client.disk_removal("My Book")
        if not answer.safe:
            program, *arguments = shlex.split(answer.advice)
            assert program == "drystone"
            drystone(*arguments, env=environment(made))
        program, *arguments = shlex.split(made.client.disk_removal("My Book").advice)
        assert (program, arguments) == ("drystone", ["disk", "retire", "My Book"])
        drystone(*arguments, "--yes", env=environment(made))
        finish(made, made.client.verify().job_id)
        assert_clean(made)
    finally:
        made.stop()


def test_a_store_of_folders_that_no_command_could_name_numbers_its_disks(short_tmp):
    for number, odd in enumerate(("--help", "50%", ".hidden", "a'b")):
        root = os.path.join(short_tmp, f"s{number}")
        paths = [os.path.join(root, "one"), os.path.join(root, odd)]
        config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=MIB)
        assert [one.name for one in config.disk] == ["d1", "d2"]
