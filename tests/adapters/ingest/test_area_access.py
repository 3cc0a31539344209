"""Other accounts: several deliver into the inbox, a worker's reads the stage and writes outputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import database_harness
import pytest
from ingest_harness import PNG, House, make_house
from store_harness import MIB, Store

from adapters.cold_storage.outbox import confirm_on_trust
from adapters.cold_storage.restore import restore
from adapters.ingest.inbox import waiting_folders
from adapters.ingest.replay import replay
from base.errors import UsageError
from fsd.engine.setup import init_store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="taking other accounts needs root")
ANN, BOB, WORKER, STRANGER = 52_001, 52_002, 52_003, 52_004
INBOX_GROUP, STAGE_GROUP = 52_101, 52_102
GROUPS = {ANN: [INBOX_GROUP], BOB: [INBOX_GROUP], WORKER: [STAGE_GROUP], STRANGER: []}
DELIVER = """
mkdir "$1" && printf '\\211PNG\\r\\n\\032\\n%s' "$2" > "$1/one.png" &&
printf '{"format": "plain-folder", "batch": "%s"}' "${1##*/}" > "$1/_READY.json"
"""
DENIED = (b"Permission denied", b"not permitted")


def run_as(account: int, script: str, *arguments: str) -> bool:
    """Run a script as an account of its groups, with the umask that documents say."""
    done = subprocess.run(
        ["/bin/sh", "-ec", script, "sh", *arguments],
        user=account, group=account, extra_groups=GROUPS[account], umask=0o002, cwd="/",
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 or any(word in done.stderr for word in DENIED), done.stderr
    return done.returncode == 0


def may_list(account: int, path: str) -> bool:
    return run_as(account, 'ls "$1"', path)


def may_read(account: int, path: str) -> bool:
    return run_as(account, 'cat "$1"', path)


@pytest.fixture
def house(database_server: str, database_template: str) -> Iterator[House]:
    """A house whose SSD lies where every account may look for it."""
    root = tempfile.mkdtemp(prefix="ds-")
    os.chmod(root, 0o711)
    paths = [os.path.join(root, name) for name in ("store", "d1", "d2", "ssd")]
    settings = {"min_free_bytes": MIB, "shard_size_bytes": 4 * MIB}
    store = Store(paths[0], init_store(paths[0], paths[1:3], paths[3], **settings), paths[1:3])
    with database_harness.new_database(database_server, database_template) as dsn:
        made = make_house(store, dsn)
        with open(store.config_path, "a", encoding="utf-8") as file:
            file.write(f'[areas]\ninbox_group = "{INBOX_GROUP}"\nstage_group = "{STAGE_GROUP}"\n')
        store.start()
        try:
            yield made
        finally:
            store.stop()
            made.database.close()
            shutil.rmtree(root)


def test_several_accounts_deliver_and_see_nothing_else(house: House):
    inbox = house.area("3a")
    assert run_as(ANN, DELIVER, os.path.join(inbox, "cats"), "a")
    assert run_as(BOB, DELIVER, os.path.join(inbox, "dogs"), "b")
    assert not run_as(STRANGER, DELIVER, os.path.join(inbox, "birds"), "c")
    assert not run_as(BOB, 'mv "$1" "$1.mine"', os.path.join(inbox, "cats"))
    signals = [one.signal for one in waiting_folders(inbox)]
    assert [one.batch for one in signals if one is not None] == ["cats", "dogs"]
    for signal in signals:
        assert signal is not None
        assert house.ingest(signal.folder, signal.batch, signal.adapter).state == "packed"
    ssd = house.store.config.ssd
    for name in sorted(os.listdir(ssd)):
        for account in (ANN, WORKER, STRANGER):
            expected = (name, account) in {("3a", ANN), ("3c", WORKER)}
            assert may_list(account, os.path.join(ssd, name)) == expected, (name, account)
    assert not may_list(ANN, ssd)
    assert not may_read(ANN, os.path.join(house.area("3b"), "cats-0001", "SHA256SUMS"))
    for name in ("cats-0001", "dogs-0001"):
        confirm_on_trust(house.config_path, name, house.database)
    assert [name for name in os.listdir(inbox) if not name.startswith(".")] == []


def test_nobody_takes_the_place_of_a_work_folder(house: House):
    inbox = house.area("3a")
    for name in (".ingest", ".replay", ".restore"):
        assert run_as(ANN, 'mkdir "$1"', os.path.join(inbox, name))
    folder = house.scrape("cats", {"one.png": PNG})
    with pytest.raises(UsageError, match=r"\.ingest' belongs to another account"):
        house.ingest(folder, "cats")
    os.rmdir(os.path.join(inbox, ".ingest"))
    house.ingest(folder, "cats")
    with pytest.raises(UsageError, match=r"\.replay' belongs to another account"):
        replay(house.config_path, "cats", None)
    package = os.path.join(house.area("3b"), "cats-0001")
    [report] = restore(house.config_path, [package], house.database)
    assert ".restore' belongs to another account" in str(report.error)


def test_the_account_of_a_worker_reads_inputs_and_writes_outputs(house: House, tmp_path):
    (tmp_path / "one.png").write_bytes(PNG)
    keys = house.store.put(str(tmp_path), "pictures")
    listing = tmp_path / "manifest.jsonl"
    listing.write_text(f'{{"path": "in/one.png", "key": "{keys["one.png"]}", "size_bytes": 108}}\n')
    client = house.store.client
    output = client.stage_output("7", "flat/0", MIB).path
    staged = client.stage_to_3c(str(listing), "7", "flat/0")
    assert client.wait(staged.job_id).state == "done"
    picture = os.path.join(staged.target_root, "in", "one.png")
    assert may_read(WORKER, picture)
    assert not may_read(ANN, picture) and not may_read(STRANGER, picture)
    write = 'mkdir "$1" && echo a > "$1/rows.csv"'
    below = os.path.join(output, "found")
    assert not run_as(STRANGER, write, below)
    assert not run_as(WORKER, write, os.path.join(os.path.dirname(picture), "found"))
    assert run_as(WORKER, write, below)
    # What the store's account removes later is the group's, not the worker's alone.
    found = os.stat(below)
    assert (found.st_gid, found.st_mode & 0o070) == (STAGE_GROUP, 0o070)
    assert client.wait(client.release_stage("7", "flat/0").job_id).state == "done"
    assert not os.path.exists(below)


def test_a_group_that_is_not_there_is_warned_of(house: House):
    house.store.stop()
    with open(house.config_path, encoding="utf-8") as file:
        text = file.read()
    with open(house.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace(f'"{STAGE_GROUP}"', '"no-such-group"'))
    house.store.start()
    (note,) = [one.message for one in house.store.client.warnings() if one.code == "note"]
    assert note == "[areas]: area 3c is not given to group no-such-group: there is no such group"
