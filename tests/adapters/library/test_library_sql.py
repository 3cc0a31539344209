"""The shipped actions of SQL alone: tags by a filter, groups of images that look alike."""

from __future__ import annotations

import library_samples as samples
from action_stage_world import make_world
from ingest_harness import House
from library_runs import perform, shipped

from adapters.actions.contract.registry import declare_contract
from adapters.actions.outputs.events import begin_event, end_event
from adapters.actions.outputs.hand_off import HandOffReport
from adapters.actions.run.ac1 import run_ac1
from adapters.actions.stage.batch import make_batch


def perform_sql(house: House, name: str) -> HandOffReport:
    loaded = shipped(name)
    declare_contract(house.database, loaded)
    batch = make_batch(house.database, None, contract=loaded)
    event = begin_event(house.database, loaded, batch, run_id=f"{name}-{batch}", parameters={})
    report = run_ac1(house.database, loaded, event)
    assert end_event(house.database, event) == report.state
    return report


def test_large_images_are_tagged(house: House):
    contents = {
        "small.png": samples.encoded(samples.picture(1), "PNG"),
        "large.bmp": samples.encoded(samples.picture(1, (700, 600)), "BMP"),
    }
    world = make_world(house, contents, {})
    report = perform_sql(house, "tag_filter")
    assert (report.state, report.done) == ("done", 1)
    assert house.rows("SELECT node_id, tag FROM result_tag_filter") == [
        (world.ids["large.bmp"], "large")
    ]


def test_images_that_look_alike_are_one_group(house: House):
    image = samples.picture(5)
    contents = {
        "one.png": samples.encoded(image, "PNG"),
        "one_small.jpg": samples.encoded(image.resize((160, 120)), "JPEG", quality=60),
        "one_half.png": samples.encoded(image.resize((200, 150)), "PNG"),
        "other.png": samples.encoded(samples.picture(6), "PNG"),
        "broken.png": samples.encoded(image, "PNG")[:200],
    }
    world = make_world(house, contents, {})
    assert perform(house, shipped("image_probe")).report.done == 4
    # Its selector asks for images with a hash: the broken one is not in the batch.
    report = perform_sql(house, "near_duplicates")
    assert (report.state, report.done, report.children) == ("done", 4, 1)
    rows = house.rows("SELECT node_id, members, group_key FROM result_near_duplicates")
    assert {world.name_of(row[0]) for row in rows} == {"one.png", "one_small.jpg", "one_half.png"}
    assert {row[1] for row in rows} == {3}
    assert len({row[2] for row in rows}) == 1
