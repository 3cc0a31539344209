"""Films and sounds in a real Chromium: segments and key frames under the player, and seeking."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator

import label_harness
import pytest
from gui_harness import HOSTILE, Scene, picture
from test_gui_browser import Watched, axe, barriers

from sql import CommonMetadata, Edge, PhysicalNode, Relationship, SourceMetadata, WriteIntent
from sql.core.declared import Column, DeclaredTable

__all__ = ["axe"]

LENGTH_S = 10


def sound() -> bytes:
    """Ten seconds of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(1)
        made.setframerate(8000)
        made.writeframes(b"\x80" * 8000 * LENGTH_S)
    return file.getvalue()


def film() -> bytes:
    """Ten seconds of grey, five pictures a second."""
    av = pytest.importorskip("av")
    numpy = pytest.importorskip("numpy")
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as made:
        stream = made.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 5
        for number in range(5 * LENGTH_S):
            grey = numpy.full((48, 64, 3), number, "uint8")
            made.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        made.mux(stream.encode())
    return file.getvalue()


@pytest.fixture(scope="module")
def films(served: Scene) -> dict[str, int]:
    """A film and a sound with segments, one of a bad length, and key frames; node by extension."""
    label_harness.add_files(served, "films", {"a.webm": film(), "b.wav": sound(), "c.ogg": b"OggS"})
    found = {
        one.extension: one
        for one in served.database.explore.page(label_harness.of_batch("films"), limit=10)
    }
    columns = [Column(name=name, type="double precision", comment="Test")
               for name in ("start_s", "end_s")]  # fmt: skip
    label = Column(name="label", type="text", comment="Test")
    served.database.declare(
        DeclaredTable(kind="source", name="scenes", version=1, comment="Test",
                      columns=(label, *columns))
    )  # fmt: skip
    spans = (("talk", 0.0, 4.0), (HOSTILE, 6.0, 8.0), ("never", 9.0, 2.0))
    # Of another sound so many that not all are drawn.
    many = tuple((f"{n}", n / 200, n / 200 + 0.1) for n in range(1_100))
    told = tuple(
        SourceMetadata(key=one.key, source="scenes",
                       values={"label": words, "start_s": start, "end_s": end})
        for one in found.values()
        for words, start, end in (many if one.extension == "ogg" else spans)
    )  # fmt: skip
    keys = [f"{number:064x}" for number in (71, 72)]
    served.database.apply_intent(
        WriteIntent(
            intent_id="scenes",
            source_metadata=told,
            physical_nodes=tuple(
                PhysicalNode(key=key, size_bytes=len(picture(1)), extension="webp") for key in keys
            ),
            common_metadata=tuple(
                CommonMetadata(key=key, source="web", is_raw=False, is_root=True, title=title)
                for key, title in zip(keys, ("2.5 s", "7 s"), strict=True)
            ),
            relationships=(Relationship(description="key frame", forms_tree=True),),
            edges=tuple(
                Edge(parent=found["webm"].key, child=key, relationship="key frame") for key in keys
            ),
        )
    )
    return {extension or "": one.node_id for extension, one in found.items()}


@pytest.fixture
def vera(chromium, served: Scene) -> Iterator[Watched]:
    """A browser of a viewer."""
    made = Watched(chromium, served, viewport={"width": 1440, "height": 900})
    made.log_in("vera")
    yield made
    # The key frames of the test have no bytes.
    assert [line for line in made.problems if "404" not in line] == []
    made.close()


def time_of(page, tag: str, seconds: float) -> None:
    page.wait_for_function(
        "([tag, at]) => Math.abs(document.querySelector(tag).currentTime - at) < 0.05",
        arg=[tag, seconds],
    )


def test_segments_and_key_frames_of_a_film_seek_it(films: dict[str, int], vera: Watched, axe: str):
    page = vera.page
    vera.open(f"/node/{films['webm']}")
    page.wait_for_selector(".film-segment >> nth=1")
    assert page.locator(".film-segment").count() == 2
    assert page.evaluate("window.hacked") is None
    page.click("[aria-label='Key frame at 0:02']")
    time_of(page, "video", 2.5)
    page.wait_for_selector(".film-frame.on[aria-label='Key frame at 0:02']")
    page.click(".film-segment >> nth=1")
    time_of(page, "video", 6.0)
    # A segment lies where it is in the whole: from 6 to 8 of 10 seconds.
    track = page.locator(".film-track").bounding_box()
    box = page.locator(".film-segment").nth(1).bounding_box()
    assert abs((box["x"] - track["x"]) / track["width"] - 0.6) < 0.03
    assert abs(box["width"] / track["width"] - 0.2) < 0.03
    assert barriers(page, axe) == []


def test_so_do_those_of_a_sound_by_keys_and_over_the_grid(films: dict[str, int], vera: Watched):
    page = vera.page
    vera.open(f"/node/{films['wav']}")
    page.focus("[aria-label='talk, 0:00 to 0:04']")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    time_of(page, "audio", 6.0)
    vera.open("/explorer?ingest_batch=films&extension=wav")
    page.click(".ds-tile")
    page.click(".look .film-segment >> nth=1")
    time_of(page, ".look audio", 6.0)


def test_more_segments_than_are_drawn_are_said_to_be(films: dict[str, int], vera: Watched):
    page = vera.page
    vera.open(f"/node/{films['ogg']}")
    page.wait_for_selector("text=Only the first 1,000 segments and key frames are shown.")
    page.wait_for_selector("text=Only the newest 1,000 are read.")
    assert page.locator(".film-segment").count() == 1_000
    # The newest of what was said, by when they begin: those before were said first.
    assert page.inner_text(".film-segment >> nth=0") == "100"
