"""The hand-off of each shipped action: canned output trees, good, partial and wrong.

No program runs. Labels (AC5) have their trees in `test_library_labels`, and what needs no program
(AC1) is in `test_library_sql`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hand_off_harness import Bench, make_bench, png, running_store
from ingest_harness import House
from library_runs import shipped
from store_harness import Store

from sql import Database

Tree = dict[str, bytes]
Child = tuple[str, int | None, str]
"""Its path below the output folder, position, title; `{stem}` is the input's."""


def lines(*records: dict[str, Any] | str) -> bytes:
    texts = [text if isinstance(text, str) else json.dumps(text) for text in records]
    return ("\n".join(texts) + "\n").encode()


@dataclass(frozen=True)
class Rows:
    """An action that answers with rows: one file of records, or a file for each input."""

    name: str
    path: str
    good: tuple[dict[str, Any], ...]
    wrong: dict[str, Any]
    reason: str
    """What is said of a record with `wrong` in it."""

    def record(self, file_name: str, **changes: Any) -> dict[str, Any]:
        return {"file": file_name, **self.good[0], **changes}

    def tree(self, records: list[dict[str, Any] | str]) -> Tree:
        return {self.path: lines(*records)}

    def expected(self, node_id: int) -> list[tuple]:
        return [(node_id, *record.values()) for record in self.good]


PROBE = {
    "width_px": 640, "height_px": 480, "mode": "RGB", "format": "JPEG", "frames": 1,
    "has_alpha": False, "perceptual_hash": "8f0c3e1b7a2d4960", "difference_hash": "00ff00ff",
    "camera": "Canon EOS 5D", "taken_at": "2011:06:04 10:11:12", "latitude_deg": 48.2,
    "longitude_deg": 16.4, "exif": "{}",
}  # fmt: skip
SOUND = {
    "codec": "flac", "container": "flac", "sample_rate_hz": 44_100, "channels": 2,
    "duration_s": 1.5, "bit_rate_per_s": 700_000, "peak_dbfs": -0.5,
    "mean_dbfs": -12.0, "loudness_lufs": None,
}  # fmt: skip
TEXT = {
    "kind": "pdf", "title": "A <b>title</b>", "pages": 2, "characters": 9, "truncated": False,
    "text": "zwölf äpf",
}  # fmt: skip
LETTER = {
    "position": 0, "character": "Ä", "left_px": 1, "top_px": 2, "width_px": 3, "height_px": 4,
    "word": 0, "confidence": 96.5,
}  # fmt: skip

ROWS = [
    Rows("image_probe", "images.jsonl", (PROBE,), {"width_px": "wide"}, "width_px is 'wide': "),
    Rows("audio_probe", "sounds.jsonl", (SOUND,), {"duration_s": "long"}, "duration_s is 'long': "),
    Rows("text_extract", "texts.jsonl", (TEXT,), {"pages": 1.5}, "pages is '1.5': "),
    Rows(
        "image_embedding",
        "embeddings.jsonl",
        ({"dimensions": 2, "vector": [0.6, 0.8]},),
        {"vector": ["a"]},
        "vector is ",
    ),
]


@dataclass(frozen=True)
class Files:
    """An action whose outputs are children."""

    name: str
    children: tuple[Child, ...]
    relationship: str
    stray: str
    is_root: bool = False
    listing: bool = False
    every_input: bool = True

    def tree(self, bench: Bench, number: int) -> Tree:
        item = bench.inputs[number]
        return {path.format(stem=item.node_id): data for path, _, _, data in self.of(number)}

    def of(self, number: int) -> list[tuple[str, int | None, str, bytes]]:
        """Return the children of an input, other bytes for each."""
        return [
            (path, position, title, png(100 * number + place))
            for place, (path, position, title) in enumerate(self.children)
        ]


FILES = [
    Files("canny_edges", (("{stem}.png", None, ""),), "edge drawing", "readme.txt"),
    Files("audio_spectrogram", (("{stem}.png", None, ""),), "spectrogram", "a/1.png"),
    Files(
        "crop_boxes",
        (("{stem}/0_cat.png", 0, "cat"), ("{stem}/1_dog.png", 1, "dog")),
        "crop",
        "1/CAT_0.png",
        every_input=False,
    ),
    Files(
        "image_variants",
        (("{stem}/0_1080p.png", 0, "1080p"), ("{stem}/1_800x600.png", 1, "800x600")),
        "variant",
        "1/1080p.png",
    ),
    Files(
        "key_frames",
        (("{stem}_0.png", 0, "0.0 s"), ("{stem}_1.png", 1, "2.5 s")),
        "key frame",
        "poster.gif",
        is_root=True,
        listing=True,
    ),
]


def listing_of(case: Files, bench: Bench, numbers: range) -> Tree:
    """Return the list that names the frames, where the action writes one."""
    if not case.listing:
        return {}
    records = [
        {
            "file": f"{bench.inputs[number].node_id}.png",
            "frame": path.format(stem=bench.inputs[number].node_id),
            "number": position,
            "time_s": float(title.split()[0]),
        }
        for number in numbers
        for path, position, title, _ in case.of(number)
    ]
    return {"frames.jsonl": lines(*records)}


@pytest.fixture(scope="module")
def shared_store() -> Iterator[Store]:
    with running_store() as store:
        yield store


@pytest.fixture
def bench_of(shared_store: Store, database: Database, tmp_path) -> Callable[[str], Bench]:
    def make(name: str) -> Bench:
        return make_bench(House(shared_store, database), str(tmp_path), shipped(name), inputs=3)

    return make


def found_rows(bench: Bench, columns: list[str]) -> list[tuple]:
    names = ", ".join(["node_id", *columns])
    table = f"result_{bench.loaded.contract.name}"
    return bench.house.rows(f"SELECT {names} FROM {table} ORDER BY {names}")


def found_children(bench: Bench) -> list[tuple]:
    return bench.house.rows(
        "SELECT parent_node_id, encode(child.sha256, 'hex'), position, coalesce(title, ''), "
        "is_root, description FROM edge JOIN node AS child ON child.node_id = child_node_id "
        "JOIN common_metadata USING (node_id) JOIN relationship USING (relationship_id) "
        "JOIN meta_generated USING (node_id) ORDER BY 1, 3, 2"
    )


def expected_children(case: Files, bench: Bench, numbers: range) -> list[tuple]:
    return [
        (
            bench.inputs[number].node_id, hashlib.sha256(data).hexdigest(), position, title,
            case.is_root, case.relationship,
        )
        for number in numbers
        for _, position, title, data in case.of(number)
    ]  # fmt: skip


def take_twice(bench: Bench, everything: Callable[[], object]) -> Any:
    """Take the outputs, and once more, which changes nothing."""
    report = bench.take()
    before = everything()
    assert bench.take().repeated
    assert everything() == before
    return report


def state_of(bench: Bench) -> object:
    return (
        bench.outcomes(), bench.quarantine(), bench.house.contents(),
        bench.house.rows("SELECT intent_id FROM write_intent ORDER BY 1"),
    )  # fmt: skip


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_rows(case: Rows, bench_of: Callable[[str], Bench]):
    bench = bench_of(case.name)
    first, second, third = bench.inputs
    records: list[dict[str, Any] | str] = [
        case.record(f"{first.node_id}.png"),
        case.record(f"{second.node_id}.png", **case.wrong),
        case.record("unknown.png"),
        '{"file": ',
    ]
    bench.write({**case.tree(records), "errors.jsonl": b"{}\n", "core": b"x"})
    columns = list(case.good[0])
    report = take_twice(bench, lambda: (found_rows(bench, columns), state_of(bench)))
    assert found_rows(bench, columns) == case.expected(first.node_id)
    assert (report.state, report.done, report.missing, report.ignored) == ("partial", 1, 1, 1)
    assert bench.outcomes() == {
        first.node_id: "done", second.node_id: "failed", third.node_id: "missing",
    }  # fmt: skip
    aside = {(path, number): reason for path, number, reason in bench.quarantine()}
    assert aside.keys() == {("core", -1), *((case.path, number) for number in (1, 2, 3))}
    assert aside[case.path, 1].startswith(case.reason)
    assert aside[case.path, 2] == "file is 'unknown.png', which is the file_name of no input"


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_rows_of_all(case: Rows, bench_of: Callable[[str], Bench]):
    bench = bench_of(case.name)
    bench.write(case.tree([case.record(f"{item.node_id}.png") for item in bench.inputs]))
    report = bench.take()
    assert (report.state, report.done, report.results, report.children) == ("done", 3, 3, 0)
    rows = [row for item in bench.inputs for row in case.expected(item.node_id)]
    assert found_rows(bench, list(case.good[0])) == rows


def csv_of(file_name: str, *letters: dict[str, Any]) -> bytes:
    header = ["file", *LETTER]
    table = [header, *([file_name, *letter.values()] for letter in letters)]
    return "".join(",".join(map(str, row)) + "\n" for row in table).encode()


def test_characters(bench_of: Callable[[str], Bench]):
    bench = bench_of("ocr_detect")
    first, second, third = bench.inputs
    more = {**LETTER, "position": 1, "character": "b", "left_px": 5}
    bench.write(
        {
            f"{first.node_id}.csv": csv_of(f"{first.node_id}.png", LETTER, more),
            f"{second.node_id}.csv": csv_of(f"{second.node_id}.png", {**LETTER, "word": "one"}),
            "notes.txt": b"x",
        }
    )
    columns = list(LETTER)
    report = take_twice(bench, lambda: (found_rows(bench, columns), state_of(bench)))
    assert found_rows(bench, columns) == [
        (first.node_id, *LETTER.values()), (first.node_id, *more.values()),
    ]  # fmt: skip
    assert (report.state, report.results, report.quarantined) == ("partial", 2, 2)
    assert bench.outcomes() == {
        first.node_id: "done", second.node_id: "failed", third.node_id: "missing",
    }  # fmt: skip


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_children_of_all(case: Files, bench_of: Callable[[str], Bench]):
    bench = bench_of(case.name)
    everyone = range(3)
    for number in everyone:
        bench.write(case.tree(bench, number))
    bench.write({**listing_of(case, bench, everyone), "errors.jsonl": b"{}\n"})
    report = take_twice(bench, lambda: (found_children(bench), state_of(bench)))
    assert (report.state, report.done, report.ignored) == ("done", 3, 1)
    assert report.children == 3 * len(case.children)
    assert found_children(bench) == expected_children(case, bench, everyone)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_children_of_some_and_wrong_ones(case: Files, bench_of: Callable[[str], Bench]):
    """The first input is answered, the second with a file cut off, the third not at all."""
    bench = bench_of(case.name)
    first, second, third = bench.inputs
    cut = {path: data[:-20] for path, data in case.tree(bench, 1).items()}
    bench.write({**case.tree(bench, 0), **cut, case.stray: png(99)})
    bench.write(listing_of(case, bench, range(2)))
    report = take_twice(bench, lambda: (found_children(bench), state_of(bench)))
    assert found_children(bench) == expected_children(case, bench, range(1))
    assert report.state == "partial"
    assert bench.outcomes() == {
        first.node_id: "done",
        second.node_id: "failed",
        third.node_id: "missing" if case.every_input else "done",
    }
    aside = {path: reason for path, _, reason in bench.quarantine()}
    assert all("is not finished" in aside[path] for path in cut if path in aside)
    assert len(aside) >= 2
    assert case.stray in aside
