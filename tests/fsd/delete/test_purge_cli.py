"""The commands around deleting, as a person types them."""

from __future__ import annotations

import json
import os

from command import drystone
from purge_checks import files_of, quick_store, store_batch
from store_checks import key_of, until, write_manifest


def test_purge_compact_and_pins(store, short_tmp):
    made = quick_store(store, 3)
    for name in ("one", "two"):
        store_batch(made, short_tmp, name, files_of(name))
    config = ("--config", made.config_path)
    shown = drystone("purge", "--batch", "one", "--dry-run", *config).stdout.decode()
    assert "would be deleted" in shown and "stays: 1 object," in shown and "batch two" in shown
    # Nobody is there to confirm.
    drystone("purge", "--batch", "one", *config, expect=1, input=b"n\n")
    lines = drystone("purge", "--batch", "one", "--dry-run", "--json", *config).stdout.splitlines()
    assert json.loads(lines[-1])["result"]["kept_objects"] == 1
    assert b"deleted" in drystone("purge", "--batch", "one", "--yes", *config).stdout
    gone = drystone("purge", "--batch", "one", "--yes", *config, expect=1)
    assert b"there is no batch one" in gone.stderr and b"Traceback" not in gone.stderr
    plan = json.loads(drystone("compact", "--dry-run", "--json", *config).stdout)
    assert plan["shards"] == 1
    drystone("compact", "--above", "0.2", *config)
    assert b"0 B of garbage" in drystone("compact", "--dry-run", *config).stdout

    path = write_manifest(os.path.join(short_tmp, "m.jsonl"), {})
    with open(path, "rb") as file:
        data = file.read()
    store_batch(made, short_tmp, "manifests", {"m.jsonl": data})
    drystone("pin", key_of(data), "dataset-1", *config)
    assert b"dataset-1" in drystone("pins", *config).stdout
    drystone("unpin", "dataset-1", *config)
    assert json.loads(drystone("pins", "--json", *config).stdout) == []


def test_a_purge_that_is_not_safe_says_why(store, short_tmp):
    made = quick_store(store, 3)
    store_batch(made, short_tmp, "one", files_of("one"))
    os.rename(made.disks[0], made.disks[0] + "-away")
    until(lambda: any(d.state == "missing" for d in made.client.disks()), "the disk to be missed")
    ended = drystone("purge", "--batch", "one", "--yes", "--config", made.config_path, expect=1)
    assert b"bring it back" in ended.stderr and b"Traceback" not in ended.stderr
    assert ended.stderr.count(b"\n") == 1 and ended.stdout == b""
