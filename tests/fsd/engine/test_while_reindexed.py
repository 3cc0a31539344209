"""While the index is made anew nothing that is stored is said to be missing."""

from __future__ import annotations

import os
import signal

import pytest
from engine_processes import child
from store_checks import finish, keys_of, put, settle, until, write_manifest
from store_harness import write_files

from fsd.format.errors import NotFoundError, ReindexingError

FILES = {f"{number}": os.urandom(20_000) for number in range(6)}


@pytest.mark.fault
def test_what_the_new_index_does_not_know_yet_is_not_missing(store, short_tmp: str):
    made = store(2)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    manifest = write_manifest(os.path.join(short_tmp, "manifest.jsonl"), keys_of(FILES))
    finish(made, made.client.export_to_3d(manifest, "set", "plain", "view").job_id)
    settle(made)
    key, client = keys_of(FILES)["1"], made.client
    disks = [child(made.config, disk.name).pid for disk in made.config.disk]
    for pid in disks:
        os.kill(pid, signal.SIGSTOP)
    try:
        job_id = client.reindex().job_id
        until(lambda: client.job(job_id).phase == "reading footers", "the footers to be read")
        for ask in (
            lambda: client.head(key),
            client.batches,
            lambda: client.batch("first"),
            lambda: list(client.batch_files("first")),
        ):
            with pytest.raises(ReindexingError, match="made anew"):
                ask()
        assert [view.name for view in client.views()] == ["exports/set/plain"], "by the catalog"
    finally:
        for pid in disks:
            os.kill(pid, signal.SIGCONT)
    finish(made, job_id)
    assert client.head(key).key == key
    assert [batch.batch for batch in client.batches()] == ["first"]
    with pytest.raises(NotFoundError):
        client.head("0" * 64)
