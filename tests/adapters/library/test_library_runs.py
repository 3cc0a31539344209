"""Every shipped action from end to end: real samples, a real store, a real database."""

from __future__ import annotations

import json
import os
import shutil

import library_samples as samples
import pytest
import yaml
from action_stage_world import connect, make_world
from command import ROOT
from ingest_harness import House
from library_folders import tiny_model
from library_runs import LIBRARY, Performed, perform, shipped

from adapters.actions.contract.check import load_contract
from adapters.actions.contract.registry import survey
from sql import parse_selector

DRAWINGS = os.path.join(ROOT, "samples", "openclipart", "artists", "benji-park")


def assert_done(performed: Performed, inputs: int) -> None:
    assert performed.outcome.state == "done", performed.log
    report = performed.report
    assert (report.state, report.done, report.quarantined) == ("done", inputs, 0), report
    assert performed.event_state == "done"


@pytest.fixture
def drawings(house: House) -> House:
    """A house with the sample drawings of one artist, carried in as a person would."""
    folder = os.path.join(house.area("3a"), "openclipart")
    shutil.copytree(DRAWINGS, folder)
    house.ingest(folder, "openclipart")
    return house


def count_of(house: House, where: str) -> int:
    return sum(1 for _ in house.database.query_nodes(parse_selector(f"version: 1\nwhere: {where}")))


def test_shipped_contracts_are_sound():
    found = survey(None)
    assert found.broken == {}
    folders = {entry.name for entry in os.scandir(LIBRARY) if os.path.isdir(entry.path)}
    assert set(found.contracts) == folders - {"__pycache__"}
    for name, loaded in found.contracts.items():
        has_program = os.path.exists(os.path.join(LIBRARY, name, "worker.py"))
        assert has_program == (loaded.contract.run_spec is not None), name


def test_actions_on_drawings(drawings: House, tmp_path):
    pictures = count_of(drawings, "{extension: png}")
    assert pictures >= 8

    assert_done(perform(drawings, shipped("image_probe")), pictures)
    rows = drawings.rows(
        "SELECT width_px, height_px, format, perceptual_hash FROM result_image_probe"
    )
    assert len(rows) == pictures
    assert {(row[2], len(row[3])) for row in rows} == {("PNG", 16)}

    edges = perform(drawings, shipped("canny_edges"), {"low": 50.0})
    assert_done(edges, pictures)
    assert edges.report.children == pictures

    contract = shipped("image_variants")
    only = parse_selector("version: 1\nwhere: {metadata: {is_raw: true}}")
    variants = perform(drawings, contract, {"sizes": "128,64x64"}, only)
    assert_done(variants, pictures)
    assert variants.report.children == 2 * pictures
    found = drawings.rows(
        "SELECT DISTINCT title, position FROM edge JOIN relationship r USING (relationship_id) "
        "JOIN common_metadata m ON m.node_id = child_node_id WHERE r.description = 'variant'"
    )
    assert sorted(found) == [("128", 0), ("64x64", 1)]

    model = str(tmp_path / "tiny.onnx")
    with open(os.path.join(LIBRARY, "image_embedding", "contract.yaml"), "rb") as file:
        document = yaml.safe_load(file)
    document |= {"name": "tiny", "action_id": 5001, "model_sha256": tiny_model(model)}
    folder = tmp_path / "library" / "tiny"
    folder.mkdir(parents=True)
    shutil.copy(os.path.join(LIBRARY, "image_embedding", "worker.py"), folder)
    shutil.copy(os.path.join(LIBRARY, "each_input.py"), folder.parent)
    (folder / "contract.yaml").write_text(yaml.safe_dump(document))
    performed = perform(drawings, load_contract(str(folder)), selector=only, models={"tiny": model})
    assert_done(performed, pictures)
    vectors = drawings.rows("SELECT dimensions, vector FROM result_tiny")
    assert len(vectors) == pictures
    assert all(sum(v * v for v in vector) == pytest.approx(1) for _, vector in vectors)


def test_actions_on_sound_video_and_documents(house: House, tmp_path):
    samples.video(str(tmp_path / "v.mp4"))
    with open(tmp_path / "v.mp4", "rb") as file:
        film = file.read()
    contents = {
        "tone.wav": samples.tone(1.0),
        "film.mp4": film,
        "paper.pdf": samples.pdf("Dry stone walls"),
        "page.html": b"<html><title>T</title><body>Words</body></html>",
    }
    make_world(house, contents, {})
    assert_done(perform(house, shipped("audio_probe")), 1)
    assert house.rows("SELECT sample_rate_hz, channels, duration_s FROM result_audio_probe") == [
        (44_100, 2, 1.0)
    ]
    spectrogram = perform(house, shipped("audio_spectrogram"), {"width": 64, "height": 64})
    assert_done(spectrogram, 1)
    assert spectrogram.report.children == 1

    frames = perform(house, shipped("key_frames"))
    assert_done(frames, 1)
    assert frames.report.children == 3
    found = house.rows(
        "SELECT title, is_root, is_raw, position FROM edge "
        "JOIN relationship r USING (relationship_id) "
        "JOIN common_metadata m ON m.node_id = child_node_id WHERE r.description = 'key frame' "
        "ORDER BY position"
    )
    assert found == [
        ("0.0 s", True, False, 0),
        ("1.0 s", True, False, 1),
        ("2.0 s", True, False, 2),
    ]

    assert_done(perform(house, shipped("text_extract")), 2)
    rows = house.rows("SELECT kind, title, text FROM result_text_extract ORDER BY kind")
    assert rows == [("html", "T", "Words"), ("pdf", None, "Dry stone walls")]


def test_words_and_boxes(house: House):
    boxes = json.dumps([{"x": 5, "y": 5, "width": 50, "height": 40, "label": "shape"}])
    contents = {
        "words.png": samples.encoded(samples.text_picture("WALL"), "PNG"),
        "blank.png": samples.encoded(samples.picture(1).crop((0, 0, 1, 1)).resize((90, 90)), "PNG"),
        "boxes.json": boxes.encode(),
    }
    world = make_world(house, contents, {})
    connect(world, "words.png", "boxes.json", "annotation")
    assert_done(perform(house, shipped("ocr_detect")), 2)
    rows = house.rows(
        "SELECT position, character, left_px IS NULL, node_id FROM result_ocr_detect "
        "ORDER BY node_id, position"
    )
    words = [row for row in rows if row[3] == world.ids["words.png"]]
    assert [(row[0], row[1], row[2]) for row in words] == [
        (0, "W", False), (1, "A", False), (2, "L", False), (3, "L", False),
    ]  # fmt: skip
    (blank,) = [row for row in rows if row[3] == world.ids["blank.png"]]
    assert blank[:3] in ((0, None, True), (0, "", True))

    crops = perform(house, shipped("crop_boxes"))
    assert_done(crops, 1)
    assert crops.report.children == 1
    found = house.rows(
        "SELECT title, is_root FROM edge JOIN relationship r USING (relationship_id) "
        "JOIN common_metadata m ON m.node_id = child_node_id WHERE r.description = 'crop'"
    )
    assert found == [("shape", False)]


def test_hostile_inputs_cost_only_themselves(house: House):
    good = {f"{n}.png": samples.encoded(samples.picture(n), "PNG") for n in (1, 2)}
    hostile = {name: data for name, data in samples.hostile_pictures().items() if data}
    world = make_world(house, good | hostile, {})
    for name in ("image_probe", "canny_edges", "ocr_detect"):
        performed = perform(
            house,
            shipped(name),
            selector=parse_selector(
                "version: 1\nwhere: {node_id: ["
                + ", ".join(str(world.ids[one]) for one in good | hostile)
                + "]}"
            ),
        )
        assert (performed.outcome.state, performed.outcome.exit_code) == ("partial", 3)
        report = performed.report
        assert (report.state, report.done) == ("partial", 2)
        missing = {world.name_of(node_id) for node_id in report.missing_inputs}
        assert missing == set(hostile)
        assert performed.event_state == "partial"
