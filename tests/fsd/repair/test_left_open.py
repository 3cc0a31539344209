"""What is lost is not said to be stored, so that a put of the same file brings it back."""

from __future__ import annotations

import os

import pytest
from engine_processes import kill_engine
from store_checks import (
    assert_clean,
    assert_readable,
    damage,
    finish,
    is_recovered,
    keys_of,
    put,
    settle,
    until,
)
from store_harness import MIB, write_files
from test_salvage import make_groups, replica_paths


@pytest.mark.fault
def test_what_a_waiting_shard_has_lost_is_written_again_by_the_next_put(store, short_tmp: str):
    """Its salvage waits, for its groups were made smaller; who still has the file may put it."""
    files = {"lost": os.urandom(20 * MIB), "kept": os.urandom(9000)}
    made = store(2, shard_size_bytes=64 * MIB)
    source = write_files(os.path.join(short_tmp, "source"), files)
    put(made, source, "first")
    key = keys_of(files)["lost"]
    offset, paths = made.client.head(key).offset, replica_paths(made, key)
    kill_engine(made.config, group=True)
    for path in paths:
        damage(path, offset + 200)
    make_groups(made, MIB)
    made.start()
    until(lambda: is_recovered(made), "the open shards to be read")
    assert "open-shards" in [one.code for one in made.client.warnings()]
    put(made, source, "again")
    assert_readable(made, files)


@pytest.mark.fault
def test_what_is_lost_on_all_disks_is_written_again_also_after_a_restart(store, short_tmp: str):
    """As `drystone warnings` advises; a restart must not take the damaged replicas for sound."""
    files = {"lost": os.urandom(90_000), "kept": os.urandom(9000)}
    made = store(2)
    source = write_files(os.path.join(short_tmp, "source"), files)
    put(made, source, "first")
    settle(made)
    key = keys_of(files)["lost"]
    offset, paths = made.client.head(key).offset, replica_paths(made, key)
    for path in paths:
        damage(path, offset + 2000)
    finish(made, made.client.verify().job_id, "incomplete")
    for _ in range(2):
        made.stop()
        made.start()
    put(made, source, "again")
    assert_readable(made, files)
    assert_clean(made)
