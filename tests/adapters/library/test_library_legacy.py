"""Two programs that nobody may change, with the trees they insist on, from end to end."""

from __future__ import annotations

import os
import shutil

import library_samples as samples
from action_stage_world import make_world
from ingest_harness import House
from library_runs import LEGACY, legacy, perform

from adapters.actions.contract.check import load_contract


def contents() -> dict[str, bytes]:
    return {
        "a.jpg": samples.camera_jpeg(),
        "b.png": samples.encoded(samples.picture(2), "PNG"),
        "tiny.gif": b"GIF89a broken",
    }


TITLES = {"a.jpg": "A; with\ttab, and\nbroken", "b.png": "Grüße"}


def test_a_shell_script_with_numbered_files_and_a_project_folder(house: House):
    world = make_world(house, contents(), TITLES)
    performed = perform(house, legacy("measure"))
    assert performed.outcome.state == "partial", performed.log
    report = performed.report
    assert (report.state, report.done, report.quarantined) == ("partial", 2, 0), report
    assert [world.name_of(node_id) for node_id in report.missing_inputs] == ["tiny.gif"]
    rows = house.rows("SELECT node_id, size_bytes, original_name FROM result_legacy_measure")
    assert {(world.name_of(row[0]), row[1]) for row in rows} == {
        (name, len(data)) for name, data in contents().items() if name != "tiny.gif"
    }
    assert {row[2] for row in rows if world.name_of(row[0]) == "b.png"} == {"Grüße"}


def test_a_title_that_breaks_the_script_s_own_csv_is_set_aside(house: House):
    world = make_world(house, contents(), {**TITLES, "a.jpg": 'A "quoted" title'})
    report = perform(house, legacy("measure")).report
    assert (report.state, report.done, report.quarantined) == ("partial", 1, 1), report
    assert "data.csv" in report.problems[0]
    assert set(map(world.name_of, report.missing_inputs + report.failed_inputs)) == {
        "a.jpg",
        "tiny.gif",
    }


def test_an_old_script_with_upper_case_names_and_a_flag(house: House):
    world = make_world(house, contents(), TITLES)
    performed = perform(house, legacy("census"), {"size": 32})
    assert (performed.outcome.state, performed.outcome.exit_code) == ("partial", 7), performed.log
    report = performed.report
    assert (report.state, report.done, report.children) == ("partial", 2, 2), report
    assert report.quarantined == 0
    assert [world.name_of(node_id) for node_id in report.missing_inputs] == ["tiny.gif"]
    rows = house.rows("SELECT node_id, caption FROM result_legacy_census")
    captions = {world.name_of(row[0]): row[1] for row in rows}
    assert captions["b.png"] == "Grüße"
    children = house.rows(
        "SELECT parent_node_id, title FROM edge JOIN relationship r USING (relationship_id) "
        "JOIN common_metadata m ON m.node_id = child_node_id "
        "WHERE r.description = 'contact picture'"
    )
    assert {(world.name_of(parent), title) for parent, title in children} == {
        (name, f"contact of {world.keys[name]}") for name in ("a.jpg", "b.png")
    }


def test_nobody_changed_the_programs(tmp_path):
    """They run from a folder that cannot be written, and leave nothing in it."""
    for name in ("measure", "census"):
        copy = str(tmp_path / name)
        shutil.copytree(os.path.join(LEGACY, name), copy)
        before = sorted(os.listdir(copy))
        assert load_contract(copy).digest == legacy(name).digest
        assert sorted(os.listdir(copy)) == before
