"""Purging single contents: store and database agree at every cut, and the rest of a batch stays."""

from __future__ import annotations

import json
import os
import signal

import pytest
from command import json_lines
from engine_processes import child
from ingest_harness import PNG, SCRAPE, House
from store_checks import disk, until
from test_ingest_purge import SHARED, key_of, pictures, run, states

from adapters.audit.audit import audit
from adapters.ingest.purge import STAY_HIDDEN, PurgePlace, purge_keys
from base.errors import UsageError
from fsd import Client, EngineUnavailableError, JobStatus

ONE = key_of(SCRAPE["ann/one.png"])
ALONE = key_of(SCRAPE["alone.png"])


@pytest.fixture
def house_of_two(house: House) -> House:
    """Two ingested batches, which share a picture."""
    house.ingest(house.scrape("cats"), "cats")
    house.ingest(house.scrape("dogs", SHARED), "dogs", "plain-folder")
    return house


def reasons(house: House) -> dict[str, str | None]:
    return dict(
        house.rows(
            "SELECT encode(sha256, 'hex'), delete_reason FROM physical_content JOIN node USING"
            " (node_id)"
        )
    )


def assert_only_these_are_gone(house: House, tmp_path, gone: set[str], before: set[str]) -> None:
    assert pictures(house, tmp_path) == before - gone
    assert states(house) == {"cats": "packed", "dogs": "packed"}
    assert {key for key, reason in reasons(house).items() if reason} == gone
    found = audit(house.config_path, sample=50)
    assert (found.missing_count, found.damaged_count, found.unlisted_count) == (0, 0, 0)
    assert (found.wrong_size_count, found.undescribed_count) == (0, 0)
    assert found.purged_count == len(gone)
    client = house.store.client
    names = [one.batch for one in client.batches()]
    listed = {file.key for name in names for file in client.batch_files(name)}
    assert not listed & gone and before - gone <= listed


def make_pictures(house: House, tmp_path) -> dict[str, str]:
    """Store a picture of its own for `ONE`, and one of two files; returns them by name."""
    made = {"own": b"of one", "shared": b"of two"}
    for name, data in made.items():
        (tmp_path / "small").mkdir(exist_ok=True)
        (tmp_path / "small" / name).write_bytes(data)
    client = house.store.client
    job = client.batch_write(str(tmp_path / "small"), "thumbnails-1", "generated")
    assert client.wait(job.job_id).state == "done"
    keys = {name: key_of(data) for name, data in made.items()}
    owners = {ONE: "own", ALONE: "shared", key_of(SHARED["other.png"]): "shared"}
    with house.database.connection() as connection:
        for owner, name in owners.items():
            connection.execute(
                "INSERT INTO thumbnail (node_id, thumbnail_key)"
                " SELECT node_id, decode(%s, 'hex') FROM node WHERE sha256 = decode(%s, 'hex')",
                [keys[name], owner],
            )
    return keys


def test_small_pictures_go_with_what_they_are_of(house_of_two: House, tmp_path):
    house = house_of_two
    before, small = pictures(house, tmp_path), make_pictures(house, tmp_path)
    cached = os.path.join(house.store.config.ssd, "thumbnails", ONE[:2], f"{ONE}-small.webp")
    os.makedirs(os.path.dirname(cached))
    with open(cached, "wb") as file:
        file.write(b"a picture")
    chosen = tmp_path / "chosen"
    chosen.write_text(f"{ONE}\n{ALONE}\n")
    run(house, "purge", "--keys", str(chosen), "--yes")
    assert house.store.client.known(list(small.values())) == {small["shared"]}
    assert house.rows("SELECT count(*) FROM thumbnail") == [(1,)]
    assert not os.path.exists(cached)
    assert_only_these_are_gone(house, tmp_path, {ONE, ALONE}, before)


def test_chosen_contents_go_and_the_rest_of_their_batches_stays(house_of_two: House, tmp_path):
    house = house_of_two
    before = pictures(house, tmp_path)
    chosen = tmp_path / "chosen"
    chosen.write_text(f"{ONE} 123 ann/one.png\n\n{json.dumps({'key': ALONE})}\n{'0' * 64}\n")
    told = run(house, "purge", "--keys", str(chosen), "--dry-run").stdout.decode()
    for line in (
        "3 keys: 2 objects",
        "would be deleted, 1 not in the store",
        "named by: batch cats (2",
        "named by: batch dogs (1",
        "named by: the database (2",
        "named by: ingest batch cats (2",
        f"not in the store: {'0' * 64}",
    ):
        assert line in told
    assert pictures(house, tmp_path) == before
    said = run(house, "purge", "--keys", "-", "--yes", expect=2).stderr
    assert b"no keys" in said
    run(house, "purge", "--keys", str(chosen), "--yes")
    assert_only_these_are_gone(house, tmp_path, {ONE, ALONE}, before)
    # The same again changes nothing.
    (again,) = json_lines(run(house, "purge", "--keys", str(chosen), "--yes", "--json"))
    assert (again["result"]["purged_objects"], again["result"]["purged_before"]) == (0, 2)
    assert_only_these_are_gone(house, tmp_path, {ONE, ALONE}, before)
    # What comes in again is there again, for everybody.
    house.ingest(house.scrape("again", {"x.png": SCRAPE["alone.png"]}), "again", "plain-folder")
    assert pictures(house, tmp_path) == before - {ONE}
    assert audit(house.config_path, sample=50).missing_count == 0


@pytest.mark.fault
@pytest.mark.parametrize("is_stored", [True, False])
def test_cut_in_between_the_same_again_goes_on(house_of_two: House, tmp_path, is_stored: bool):
    house = house_of_two
    before = pictures(house, tmp_path)
    house.database.ingests.begin_purge_of_keys([ONE])
    # Nothing is shown that may be gone, and nothing counts as missing.
    assert pictures(house, tmp_path) == before - {ONE}
    if not is_stored:
        client = house.store.client
        assert client.wait(client.purge(keys=(ONE,)).job_id).state == "done"
    assert audit(house.config_path, sample=50).missing_count == 0
    chosen = tmp_path / "chosen"
    chosen.write_text(ONE)
    run(house, "purge", "--keys", str(chosen), "--yes")
    assert_only_these_are_gone(house, tmp_path, {ONE}, before)


@pytest.mark.fault
def test_what_the_store_refuses_to_purge_is_shown_again(house_of_two: House, tmp_path):
    """Another job is at work on keys; then the engine ends, and nobody can ask it."""
    house = house_of_two
    before, said = pictures(house, tmp_path), list[str]()
    hanging = child(house.store.config, disk(house.store, 0).name).pid

    def hang(store: Client, job_id: str) -> JobStatus:
        looked = store.wait(job_id)
        os.kill(hanging, signal.SIGSTOP)
        store.purge(keys=(ONE,), dry_run=True)
        return looked

    def end(store: Client, job_id: str) -> JobStatus:
        if reasons(house)[ALONE] is not None:  # Not yet while it looks.
            house.store.stop()
        return store.wait(job_id)

    try:
        with pytest.raises(UsageError, match="is at work on a purge of single objects"):
            purge_keys(PurgePlace(house.config_path, said.append, hang), [ALONE])
    finally:
        os.kill(hanging, signal.SIGCONT)
    assert said == ["what the store still has, the database shows as before"]
    assert reasons(house)[ALONE] is None
    until(lambda: all(one.state != "running" for one in house.store.client.jobs()), "the look")
    said.clear()
    with pytest.raises(EngineUnavailableError):
        purge_keys(PurgePlace(house.config_path, said.append, end), [ALONE])
    assert said == [STAY_HIDDEN]
    house.store.start()
    assert reasons(house)[ALONE] == "purged"
    purge_keys(PurgePlace(house.config_path), [ALONE])
    assert_only_these_are_gone(house, tmp_path, {ALONE}, before)


def test_what_is_pinned_stays_and_is_shown_again(house_of_two: House, tmp_path):
    house = house_of_two
    before = pictures(house, tmp_path)
    client = house.store.client
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"path": "a.png", "key": ONE}) + "\n")
    view = client.export_to_3d(str(manifest), "pinned", "plain", mode="view")
    assert client.wait(view.job_id).state == "done"
    chosen = tmp_path / "chosen"
    chosen.write_text(f"{ONE}\n{ALONE}\n")
    said = run(house, "purge", "--keys", str(chosen), "--yes").stdout.decode()
    assert "kept for others" in said
    assert_only_these_are_gone(house, tmp_path, {ALONE}, before)


@pytest.mark.parametrize("state", ["stored", "described"])
def test_a_batch_whose_ingest_has_not_ended_is_let_end_first(
    house_of_two: House, tmp_path, state: str
):
    house = house_of_two
    house.database.ingests.set_state("cats", state)
    chosen = tmp_path / "chosen"
    chosen.write_text(ONE)
    refused = run(house, "purge", "--keys", str(chosen), "--yes", expect=2)
    assert b"its ingest has not ended" in refused.stderr
    assert house.store.client.known([ONE]) and reasons(house)[ONE] is None


@pytest.mark.parametrize("arguments", [[], ["--batch", "cats", "--keys", "f"]])
def test_a_batch_or_keys_are_named(house_of_two: House, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text(ONE)
    refused = run(house_of_two, "purge", *arguments, "--yes", expect=2)
    assert b"name a batch that goes, or keys" in refused.stderr
    assert b"Traceback" not in refused.stderr
    (tmp_path / "g").write_text("what is this")
    refused = run(house_of_two, "purge", "--keys", "g", "--yes", expect=2)
    assert b"line 1 of g" in refused.stderr
    assert PurgePlace(house_of_two.config_path).store.known([ONE]) and PNG
