"""Hugging Face imagefolder: hand-written folders, and the samples, read by eye."""

from __future__ import annotations

from pathlib import Path

import pytest
import reading_checks as checks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.imagefolder import ADAPTERS

IMAGEFOLDER = ADAPTERS[0]

JSONL = """{"file_name": "a.jpg", "text": "one", "label": 3}
{"file_name": "sub/b.png", "text": "two"}

{"file_name": "sub/b.png", "text": "three"}
{"file_name": "../../etc/passwd.jpg", "text": "four"}
{"image_file_name": "a.jpg", "mask_file_name": "sub/b.png"}
{"file_names": ["a.jpg", "gone.jpg"], "split": "dev"}
{"text": "no file"}
[1]
{broken
"""


def test_rows(tmp_path: Path):
    root = checks.write(
        tmp_path,
        {"train/metadata.jsonl": JSONL, "train/a.jpg": b"A", "train/sub/b.png": b"B",
         "test/metadata.csv": "file_name,label\nc.jpg,cat\nd.jpg,dog,extra\n", "test/c.jpg": b"C"},
    )  # fmt: skip
    records, problems = checks.read(IMAGEFOLDER, root)
    assert [
        (r.path, r.number, [checks.said(r, n)["node"][:36] for n in range(len(r.observations))])
        for r in records
    ] == [
        ("test/metadata.csv", 0, ["file test/c.jpg"]),
        ("train/metadata.jsonl", 0, ["file train/a.jpg"]),
        ("train/metadata.jsonl", 1, ["file train/sub/b.png"]),
        ("train/metadata.jsonl", 3, ["file train/sub/b.png"]),
        ("train/metadata.jsonl", 4, [checks.said(records[4])["node"][:36]]),
        ("train/metadata.jsonl", 5, ["file train/a.jpg", "file train/sub/b.png"]),
        ("train/metadata.jsonl", 6, ["file train/a.jpg", checks.said(records[6], 1)["node"][:36]]),
    ]
    checks.assert_says(records[0], label="cat", label_from="column", split="test", title="cat")
    checks.assert_says(
        records[1], label="3", caption="one", split="train", title="one", is_root=True
    )
    assert [r.observations[0].title for r in records[2:4]] == ["two", "three"]
    assert records[4].subject.startswith("file:media:")
    assert records[4].subject.endswith("/../../etc/passwd.jpg")
    checks.assert_says(records[6], split="dev")
    assert [(p.path, p.number) for p in problems] == [
        ("test/metadata.csv", 1), ("train/metadata.jsonl", 7), ("train/metadata.jsonl", 8),
        ("train/metadata.jsonl", 9),
    ]  # fmt: skip


def test_absent_files_meet_within_one_table_only(tmp_path: Path):
    row = '{"file_name": "0.png", "text": "%s"}\n'
    root = checks.write(
        tmp_path, {"a/metadata.jsonl": row % "x" + row % "y", "b/metadata.jsonl": row % "z"}
    )
    first, second, other = checks.read(IMAGEFOLDER, root)[0]
    assert first.subject == second.subject != other.subject


def test_class_folders_only_without_metadata(tmp_path: Path):
    pictures = {f"train/{label}/{n}.jpg": b"%d" % n for label in ("cat", "dog") for n in (1, 2)}
    root = checks.write(tmp_path / "a", {**pictures, "val/cat/9.jpg": b"9"})
    records, problems = checks.read(IMAGEFOLDER, root)
    assert not problems and len(records) == 5
    assert IMAGEFOLDER.sniff(ScrapeFolder.of(root)).confidence == 0.3
    checks.assert_says(
        records[0], node="file train/cat/1.jpg", label="cat", label_from="folder", split="train"
    )
    checks.assert_says(records[4], split="validation")
    deep = checks.write(tmp_path / "b", {"x/y/z/1.jpg": b"1", "x/2.jpg": b"2"})
    assert checks.read(IMAGEFOLDER, deep) == ([], [])


AZUKI = "web:media:ipfs://QmYDvPAXtiJg7s8JdRBSLWdgSphQdac8j1YuQNNxcGE1hg"
# Absent without an address: the table's own sha256, as sha256sum prints it, and the name.
AZUKI_TABLE = "file:media:da3470e3346ad53ea9e94f0f6d151dbb"
LABELING = "file:media:26890a40fab66d77c74dc5125e960bf6"
SAMPLES = [
    (
        "azuki/metadata.jsonl",
        0,
        f"{AZUKI}/0.png",
        "A human character, anime, profile, looking left, "
        "pink oversized kimono clothing, water hair, striking eyes, frown mouth, monkey "
        "king staff hand",
        None,
    ),
    (
        "azuki/metadata.jsonl",
        1,
        f"{AZUKI}/1.png",
        "A human character, anime, profile, looking left, "
        "white qipao with fur clothing, pink hairband hair, daydreaming eyes, lipstick "
        "mouth, gloves hand",
        None,
    ),
    (
        "azuki/metadata.jsonl",
        3,
        f"{AZUKI_TABLE}/100.png",
        "A human character, anime, profile, looking "
        "left, stitched samurai armor clothing, blue bob hair, glowing eyes, lipstick mouth, chill "
        "headphones neck",
        None,
    ),
    ("azuki/0.png.json", -1, f"{AZUKI}/0.png", "Azuki #0", None),
    ("azuki/10.png.json", -1, f"{AZUKI}/10.png", "Azuki #10", None),
    (
        "houses/metadata.jsonl",
        0,
        "file houses/imgs/259_frontal.jpg",
        "This two-story house features a "
        "three-car garage, a covered front porch, and a well-maintained lawn, creating an inviting "
        "exterior.",
        None,
    ),
    (
        "houses/metadata.jsonl",
        2,
        "file houses/imgs/259_frontal.jpg",
        "This house features a "
        "contemporary suburban architectural style with a stucco exterior, gabled roofs, "
        "and a mix of "
        "stone accents on the front porch columns.",
        None,
    ),
    (
        "houses/metadata.jsonl",
        4,
        "file houses/imgs/172_frontal.jpg",
        "Single-story ranch-style home "
        "with a mix of brick and wood siding, featuring a sloped roof, large windows, and a "
        "landscaped "
        "garden.",
        None,
    ),
    (
        "labeling/metadata.jsonl",
        0,
        f"{LABELING}/alec-favale-Ivzo69e18nk-unsplash.jpg",
        "dog",
        "dog",
    ),
    (
        "labeling/metadata.jsonl",
        1,
        f"{LABELING}/yan-laurichesse-3qZnN_M45Ds-unsplash.jpg",
        "SKIP",
        "SKIP",
    ),
    (
        "labeling/metadata.jsonl",
        3,
        f"{LABELING}/tran-mau-tri-tam-7QjU_u2vGDs-unsplash.jpg",
        "cat",
        "cat",
    ),
]


def test_samples_say_what_a_person_reads_in_them():
    records, problems = checks.read(IMAGEFOLDER, checks.sample("hf-imagefolder"))
    found = checks.by_place(records)
    for path, number, node, title, label in SAMPLES:
        checks.assert_says(
            found[path, number], node=node, title=title, label=label, source="labelled_file"
        )
        assert checks.links_of(found[path, number]) == []
    checks.assert_says(
        found["azuki/10.png.json", -1],
        tags=["Type: Human", "Hair: Green Samurai", "Headgear: Black Bucket Hat",
              "Clothing: Blue Kimono", "Eyes: Closed", "Mouth: Chuckle", "Offhand: Sakura Katana",
              "Background: Off White C"],
    )  # fmt: skip
    # Four captions of every house.
    pictures = [r.subject for r in records if r.path == "houses/metadata.jsonl"]
    assert {pictures.count(picture) for picture in pictures} == {4} and len(set(pictures)) == 24
    assert not problems
    items = {
        path: count for path, count in checks.counts(records).items() if path.endswith(".json")
    }
    assert len(items) == 40 and set(items.values()) == {1}
    lines = {path: count for path, count in checks.counts(records).items() if path not in items}
    assert lines == {
        "azuki/metadata.jsonl": 600, "houses/metadata.jsonl": 96, "labeling/metadata.jsonl": 4,
    }  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutated_folders(seed: int, tmp_path_factory: pytest.TempPathFactory):
    source = tmp_path_factory.mktemp("source")
    item = (
        '{"name": "n", "image": "ipfs://Q/0.png", "attributes": [{"value": 1, "trait_type": "t"}]}'
    )
    checks.write(
        source,
        {"metadata.jsonl": JSONL, "0.png.json": item, "t/metadata.csv": "file_name,text\na,b\n",
         "a.jpg": b"A"},
    )  # fmt: skip
    checks.survives(IMAGEFOLDER, source, tmp_path_factory.mktemp("target"), seed)
