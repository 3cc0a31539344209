"""What a person is told and asked before a disk goes: the right disk, and who may save the rest."""

from __future__ import annotations

import os

import pytest
from command import drystone, environment, json_lines
from store_checks import assert_batch, disk, finish, keys_of, put, settle, wait_for_state
from store_harness import MIB, Store, write_files

FILES = {f"{number}": os.urandom(200_000) for number in range(20)}


@pytest.fixture
def filled(store, short_tmp) -> Store:
    """Three disks with two copies of one batch."""
    made = store(3, shard_size_bytes=MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    return made


def away(made: Store, number: int) -> str:
    os.rename(made.disks[number], made.disks[number] + ".away")
    wait_for_state(made, number, "missing")
    return disk(made, number).name


@pytest.mark.fault
def test_a_missing_disk_that_may_have_the_rest_is_named(filled: Store):
    env = environment(filled)
    first = away(filled, 0)
    name = disk(filled, 1).name
    answer = filled.client.disk_removal(name)
    assert answer.sole_shards and answer.sole_away == (first,)
    told = drystone("disk", "safe-to-remove", name, env=env, expect=3).stdout.decode()
    assert f"({first}, missing now, may still have some of it)" in told
    assert f"bring {first} back first, or drystone disk drain {name}" in told
    saved = f"{first} may still have some of that: bring that back first"
    retire = ("disk", "retire", name, "--force")
    assert saved in drystone(*retire, env=env, input=b"n\n", expect=1).stderr.decode()
    refused = drystone("disk", "drain", name, env=env, expect=1).stderr.decode()
    assert f"bring {first} back, or add a disk first" in refused
    away(filled, 1)
    told = drystone("disk", "safe-to-remove", name, env=env, expect=3).stdout.decode()
    assert f"bring {name} or {first} back" in told
    asked = drystone("rebuild", "--disk", name, env=env, input=b"n\n", expect=1).stderr.decode()
    assert "WOULD BE LOST" in asked and saved in asked
    looked = ("rebuild", "--disk", name, "--dry-run")
    assert saved in drystone(*looked, env=env).stderr.decode()
    (plan,) = json_lines(drystone(*looked, "--json", env=env))
    assert plan["lost_objects"] == answer.sole_objects and plan["sole_away"] == [first]
    # What it gave up with its declaration is on nobody's list any more.
    filled.client.wait(filled.client.rebuild(first).job_id)
    assert filled.client.disk_removal(name).sole_away == ()


@pytest.mark.fault
def test_a_new_disk_may_stand_where_the_dead_one_stood(filled: Store):
    env, path = environment(filled), filled.disks[0]
    name = away(filled, 0)
    os.mkdir(path)
    asked = drystone("disk", "replace", name, path, env=env, input=b"n\n", expect=1).stderr.decode()
    assert f"{name} (missing) will be declared gone; {path} joins the store" in asked
    assert "already" not in asked
    drystone("disk", "replace", name, path, "--name", "d9", "--yes", env=env)
    disks = {one.name: one for one in filled.client.disks()}
    assert disks[name].state == "gone"
    assert disks["d9"].path == path and disks["d9"].state == "online" and disks["d9"].shards
    assert_batch(filled, "first", FILES)


@pytest.mark.fault
def test_a_disk_is_not_replaced_by_itself_and_nobody_is_asked(filled: Store):
    name, path = disk(filled, 0).name, filled.disks[0]
    told = drystone("disk", "replace", name, path, env=environment(filled), expect=2)
    assert f"{path} is {name} itself" in told.stderr.decode()
    assert b"Go on?" not in told.stderr + told.stdout


def test_a_warning_has_its_code_and_status_its_advice_on_a_line_of_its_own(filled: Store):
    env = environment(filled)
    assert drystone("status", env=env).returncode == 0
    name = away(filled, 0)
    told = drystone("warnings", env=env).stdout.decode()
    assert f"critical disk-missing: disk {name} is missing: " in told
    for warning in filled.client.warnings():
        assert f"{warning.severity} {warning.code}: " in told
    lines = drystone("status", env=env).stdout.decode().splitlines()
    (at,) = (n for n, line in enumerate(lines) if line.startswith("critical  disk-missing: "))
    assert lines[at + 1].startswith("          mount or reconnect it")


def test_a_purge_says_which_disk_to_bring_back(filled: Store):
    name = away(filled, 0)
    asked = drystone(
        "purge", "--batch", "first", "--dry-run", env=environment(filled), expect=1
    ).stderr.decode()
    assert f"drystone rebuild --disk {name}" in asked
    assert keys_of(FILES).keys() == {one.path for one in filled.client.batch_files("first")}
    finish(filled, filled.client.rebuild(name).job_id)
