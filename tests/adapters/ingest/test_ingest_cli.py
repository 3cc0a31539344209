"""The commands of UA_1 as a person types them: answers, exit codes, one line for every mistake."""

from __future__ import annotations

import json
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
    assert "twitter" in platforms["gallery-dl"] and platforms["plain-folder"] == [
        "file",
        "labelled_file",
    ]


def test_sniff_and_dry_run_need_no_store(tmp_path):
    folder = os.path.join(SAMPLES, "pyvideo")
    (answers,) = json_lines(drystone("source", "sniff", folder, "--json", cwd=tmp_path))
    assert answers[0]["adapter"] == "pyvideo"
    result = drystone("ingest", folder, "--batch", "talks", "--dry-run", "--json", cwd=tmp_path)
    (counts,) = json_lines(result)
    assert (counts["records"], counts["quarantined"]) == (12, 0)
    assert os.listdir(tmp_path) == []


def test_a_described_file_is_a_node_whatever_it_is(tmp_path):
    names = ("work.ugoira", "book.epub", "part.m4b", "clip.swf", "mesh.stl", "pages.cbz")
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
        sidecar = {"category": "example", "subcategory": "post", "id": name, "extension": name[-3:]}
        (tmp_path / f"{name}.json").write_text(json.dumps(sidecar))
    options = ("--batch", "b", "--source", "gallery-dl", "--dry-run", "--json")
    (counts,) = json_lines(drystone("ingest", str(tmp_path), *options))
    assert (counts["physical_nodes"], counts["quarantined"]) == (2 * len(names), 0)
    assert counts["edges"]["contains"] == len(names)


def test_a_scrape_goes_all_the_way(house: House, tmp_path):
    folder = house.scrape("cats")
    options = ("ingest", folder, "--batch", "cats", "--user", "ann", "--json")
    (foreseen,) = json_lines(drystone(*options, "--dry-run", expect=3))
    (report,) = json_lines(run(house, *options, expect=3))
    assert foreseen["observations"] == report["observations_new"]
    assert sum(foreseen["edges"].values()) == report["edges_new"]
    assert foreseen["download_times"] == report["download_times"] == {"file": report["records"]}
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
    selector.write_text("version: 1\nwhere: {description: 'example:username:Ann'}\n")
    (ann,) = json_lines(run(house, "select", str(selector), "--json"))
    assert ann["description"] == "example:username:Ann"
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
