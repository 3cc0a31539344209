"""The commands of UA_1 as a person types them: answers, exit codes, one line for every mistake."""

from __future__ import annotations

import os
import shutil

import pytest
from command import ROOT, drystone, json_lines
from ingest_harness import QUARANTINED, SCRAPE, House

SAMPLES = os.path.join(ROOT, "samples")


def run(house: House, *arguments: str, expect: int = 0):
    return drystone(*arguments, "--config", house.config_path, expect=expect)


def test_source_list_names_every_adapter_and_its_tables():
    (rows,) = json_lines(drystone("source", "list", "--json"))
    platforms = {row["name"]: row["platforms"] for row in rows}
    assert len(platforms) >= 30
    assert "twitter" in platforms["gallery-dl"] and platforms["plain-folder"] == ["file"]


def test_sniff_and_dry_run_need_no_store(tmp_path):
    folder = os.path.join(SAMPLES, "pyvideo")
    (answers,) = json_lines(drystone("source", "sniff", folder, "--json", cwd=tmp_path))
    assert answers[0]["adapter"] == "pyvideo"
    result = drystone("ingest", folder, "--batch", "talks", "--dry-run", "--json", cwd=tmp_path)
    (counts,) = json_lines(result)
    assert (counts["records"], counts["quarantined"]) == (12, 0)
    assert os.listdir(tmp_path) == []


def test_a_scrape_goes_all_the_way(house: House, tmp_path):
    folder = house.scrape("cats")
    result = run(house, "ingest", folder, "--batch", "cats", "--user", "ann", "--json", expect=3)
    (report,) = json_lines(result)
    assert report["adapter"] == "gallery-dl" and report["quarantined"] == len(QUARANTINED)
    (rows,) = json_lines(run(house, "quarantine", "list", "--json"))
    assert {row["path"] for row in rows} == QUARANTINED
    (packages,) = json_lines(run(house, "outbox", "list", "--json"))
    assert [package["package_id"] for package in packages] == ["cats-0001"]
    (found,) = json_lines(run(house, "audit", "--json"))
    assert found["missing_count"] == 0 and found["nodes"] >= len(SCRAPE) - len(QUARANTINED)
    selector = tmp_path / "selector.yaml"
    selector.write_text(
        "version: 1\nwhere:\n  media_type: image\n  ancestor:\n    within: 2\n"
        "    where: {description: 'example:username:Ann'}\n"
    )
    nodes = json_lines(run(house, "select", str(selector), "--json"))
    assert len(nodes) == 3
    copy = str(tmp_path / "cold")
    shutil.copytree(os.path.join(house.area("3b"), "cats-0001"), copy)
    (freed,) = json_lines(run(house, "outbox", "confirm", "cats-0001", "--copy", copy, "--json"))
    assert freed["batch_complete"] and not os.path.exists(folder)
    (reports,) = json_lines(run(house, "restore", copy, "--json"))
    assert reports[0]["stored_new"] == 0


def test_the_inbox_is_worked_off_and_one_bad_folder_stops_no_other(house: House):
    for name, text in (("a", "{broken"), ("b", '{"format": "gallery-dl", "batch": "b-batch"}')):
        folder = house.scrape(name)
        with open(os.path.join(folder, "_READY.json"), "w", encoding="utf-8") as file:
            file.write(text)
    result = run(house, "inbox", "run", expect=3)
    assert "a: left alone" in result.stderr.decode()
    (rows,) = json_lines(run(house, "inbox", "list", "--json"))
    states = {row["folder"]: row["state"] for row in rows}
    assert states["b"] == "packed" and "cannot be read" in states["a"]
    again = run(house, "inbox", "run", expect=3)
    assert "is in already" in again.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("source", "sniff", "/no/such/folder"), "is not a folder"),
        (("ingest", "/no/such/folder", "--batch", "x"), "is not a folder"),
        (("ingest", SAMPLES, "--batch", "a/b"), "cannot be the name of a batch"),
        (("ingest", SAMPLES, "--batch", "x", "--source", "nope"), "no adapter 'nope'"),
        (("outbox", "confirm", "nope", "--copy", SAMPLES), "no package 'nope'"),
        (("restore", SAMPLES), "holds none"),
        (("quarantine", "replay", "nope"), "no stored batch 'nope'"),
    ],
)
def test_a_mistake_is_one_clear_line(house: House, arguments: tuple[str, ...], said: str):
    options = () if arguments[0] == "source" else ("--config", house.config_path)
    result = drystone(*arguments, *options, expect=2)
    message = result.stderr.decode()
    assert said in message and "Traceback" not in message
    assert result.stdout == b""
