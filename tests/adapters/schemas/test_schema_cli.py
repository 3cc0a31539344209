"""JSON that nobody declared, as a person types it: from a folder to a proposal, a table, rows."""

from __future__ import annotations

import json

from command import drystone, json_lines
from ingest_harness import House

PETS = [{"id": number, "name": f"Rex {number}", "legs": 4} for number in range(25)]
SELECTOR = """
version: 1
where: {source_metadata: {source: dogs, columns: {dog_id: {min: 20}}}}
"""


def run(house: House, *arguments: str, expect: int = 0, **more: str):
    return drystone(*arguments, "--config", house.config_path, expect=expect, **more)


def test_from_a_folder_to_rows(house: House, tmp_path):
    lines = "\n".join(map(json.dumps, PETS)).encode()
    files = {
        "pets.jsonl": lines + b'\n{"id": 1, "id": 2}\n',
        "more.json": json.dumps([*PETS[:3], {"id": 99, "name": "Tom", "lives": 9}]).encode(),
        "alone/one.json": b'{"a": {"b": {"c": {"d": 1}}}}',
    }
    folder = house.scrape("pets", files)
    (answers,) = json_lines(drystone("source", "sniff", folder, "--json"))
    assert "json" in [one["adapter"] for one in answers if one["confidence"] < 0.2]
    options = ("ingest", folder, "--batch", "pets", "--source", "json", "--json")
    (foreseen,) = json_lines(drystone(*options, "--dry-run", expect=3))
    (report,) = json_lines(run(house, *options, expect=3))
    assert foreseen["records"] == report["records"] == len(PETS) + 4 + 1
    assert report["quarantined"] == 1 and report["proposals"] == ["alone", "pets"]
    # The key of an object is the hash of its bytes: those of both files are one node each.
    assert house.rows("SELECT count(DISTINCT node_id) FROM meta_json") == [(len(PETS) + 1 + 1,)]

    (listed,) = json_lines(run(house, "schema", "list", "--json"))
    assert [(one["name"], one["status"], one["choice"]) for one in listed] == [
        ("alone", "provisional", "jsonb"),
        ("pets", "provisional", "table"),
    ]
    shown = run(house, "schema", "show", "pets").stdout.decode()
    assert 'CREATE TABLE "meta_pets"' in shown and "Rex 7" in shown and "because" in shown
    assert b"+ pets.own_id bigint" in run(house, "schema", "diff", "pets").stdout
    accept = ("schema", "accept", "pets", "--name", "dogs", "--rename", "own_id=dog_id")
    assert b"dogs, version 1: active" in run(house, *accept).stderr
    assert house.rows("SELECT count(DISTINCT node_id), max(dog_id) FROM meta_dogs") == [(26, 99)]
    (tmp_path / "dogs.yaml").write_text(SELECTOR)
    (total,) = json_lines(run(house, "select", str(tmp_path / "dogs.yaml"), "--count", "--json"))
    assert total["count"] == 6
    run(house, "schema", "reject", "alone")
    run(house, "schema", "rollback", "dogs")
    (listed,) = json_lines(run(house, "schema", "list", "--json"))
    assert [(one["name"], one["status"]) for one in listed] == [
        ("alone", "rejected"),
        ("dogs", "former"),
    ]
    for expect, *mistake in (
        (1, "schema", "show", "cats"),
        (2, "schema", "accept", "alone"),
        (2, "schema", "accept", "dogs", "--form", "csv"),
        (2, "schema", "show", "'; DROP TABLE node"),
    ):
        said = run(house, *mistake, expect=expect).stderr
        assert said.count(b"\n") == 1 and b"Traceback" not in said
