"""Thumbnails of what strangers wrote: made once, bounded, and broken ones said to be so."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import zlib
from collections.abc import Iterator
from io import BytesIO

import gui_harness
import pytest
from gui_harness import Scene
from PIL import Image

from adapters import ThumbnailWorker, source_facts
from base.errors import DrystoneError
from gui.reading.thumbnails import Thumbnails
from sql import KnownThumbnail


@pytest.fixture
def worker() -> Iterator[ThumbnailWorker]:
    made = ThumbnailWorker()
    yield made
    made.close()


def written(tmp_path, name: str, content: bytes) -> str:
    path = os.path.join(tmp_path, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    side = (30_000).to_bytes(4, "big")
    header = side + side + b"\x08\x02\x00\x00\x00"
    parts = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + parts


def test_a_picture_is_made_small(tmp_path, worker: ThumbnailWorker):
    for mode in ("RGB", "L", "P", "CMYK", "RGBA", "I;16", "1"):
        buffer = BytesIO()
        Image.new(mode, (900, 600)).save(buffer, "TIFF")
        target = os.path.join(tmp_path, "small.webp")
        assert worker.make(written(tmp_path, "a", buffer.getvalue()), target, "image", 320) == ""
        with Image.open(target) as picture:
            assert picture.size == (320, 213)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", bomb(), b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"GIF89a\xff\xff"]
)
def test_what_cannot_be_decoded_has_a_reason(tmp_path, worker: ThumbnailWorker, content: bytes):
    source, target = written(tmp_path, "a", content), os.path.join(tmp_path, "t.webp")
    assert worker.make(source, target, "image", 320)
    assert not os.path.exists(target)


def test_a_truncated_picture_is_broken(tmp_path, worker: ThumbnailWorker):
    buffer = BytesIO()
    Image.effect_noise((400, 400), 50).save(buffer, "JPEG")
    source = written(tmp_path, "a", buffer.getvalue()[:2_000])
    assert "truncated" in worker.make(source, os.path.join(tmp_path, "t"), "image", 320)


def test_a_video_has_a_poster(tmp_path, worker: ThumbnailWorker):
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    source = os.path.join(tmp_path, "a.mp4")
    with av.open(source, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 320, 240
        for number in range(20):
            frame = av.VideoFrame.from_image(Image.new("RGB", (320, 240), (number * 10, 80, 90)))
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    target = os.path.join(tmp_path, "poster.webp")
    assert worker.make(source, target, "video", 160) == ""
    with Image.open(target) as picture:
        assert picture.size == (160, 120)
    assert worker.make(written(tmp_path, "b", b"no video"), target, "video", 160)


def test_a_dead_worker_is_replaced(tmp_path, worker: ThumbnailWorker):
    source = written(tmp_path, "a", gui_harness.picture(1))
    target = os.path.join(tmp_path, "t.webp")
    assert worker.make(source, target, "image", 320) == ""
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert worker.make(source, target, "image", 320) != ""
    assert worker.make(source, target, "image", 320) == ""


def test_a_process_with_a_thousand_descriptors_makes_pictures(tmp_path, worker: ThumbnailWorker):
    """As with a thousand connections: the decoder's pipe has a number above 1,023 then."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(4096, limits[0]), limits[1]))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        assert max(taken) > 1_023
        buffer = BytesIO()
        Image.new("RGB", (900, 600)).save(buffer, "PNG")
        target = os.path.join(tmp_path, "small.webp")
        assert worker.make(written(tmp_path, "a", buffer.getvalue()), target, "image", 320) == ""
        assert os.path.getsize(target)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_many_ask_and_it_is_made_once(scene: Scene, tmp_path):
    node = scene.database.explore.page(gui_harness.images(), limit=1)[0]
    made = Thumbnails(scene.store.client, str(tmp_path / "cache"), 10**9, 2)
    os.makedirs(tmp_path / "cache")

    async def ask() -> list:
        return await asyncio.gather(*(made.get(node.key, "image") for _ in range(20)))

    try:
        answers = asyncio.run(ask())
        assert {one.state for one in answers} == {"ready"} and made._made == 1
        unknown = hashlib.sha256(b"unknown").hexdigest()
        for _ in range(3):  # Fails at once, and again.
            with pytest.raises(DrystoneError):
                asyncio.run(made.get(unknown, "image"))
    finally:
        made.close()


def test_what_a_job_made_is_taken_from_the_store(scene: Scene, tmp_path):
    one, other, third = scene.database.explore.page(gui_harness.images(), limit=3)
    known = {
        one.key: KnownThumbnail(other.key, ""),
        other.key: KnownThumbnail(None, "it is broken"),
        # The store has lost it: it is drawn then.
        third.key: KnownThumbnail("0" * 64, ""),
    }
    made = Thumbnails(scene.store.client, str(tmp_path), 10**9, 1, known.get)

    async def ask() -> list:
        return [await made.get(node.key, "image") for node in (one, other, third)]

    try:
        taken, broken, drawn = asyncio.run(ask())
        with open(taken.path, "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == other.key
        assert (broken.state, broken.reason) == ("broken", "it is broken")
        assert drawn.state == "ready"
        # Large ones are drawn from the original.
        large = asyncio.run(made.get(one.key, "image", "large"))
        facts = source_facts(large.path)
        assert facts is not None and facts.height == 90
        assert source_facts(taken.path) is None
    finally:
        made.close()


def test_the_cache_stays_within_its_bound(scene: Scene, tmp_path):
    made = Thumbnails(scene.store.client, str(tmp_path), 5_000, 1)
    os.makedirs(tmp_path / "ab")
    for number in range(10):
        path = tmp_path / "ab" / f"ab{number}.webp"
        path.write_bytes(b"x" * 1_000)
        os.utime(path, (number, number))
    made._evict()
    made.close()
    left = sorted(int(name.removesuffix(".webp")[2:]) for name in os.listdir(tmp_path / "ab"))
    assert left == [6, 7, 8, 9]
