"""Thumbnails of what strangers wrote: made once, bounded, and broken ones said to be so."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import os
import resource
import zlib
from collections.abc import Iterator
from io import BytesIO

import gui_harness
import numpy as np
import pytest
from gui_harness import Scene
from PIL import Image

from adapters import ThumbnailWorker, source_facts
from base.errors import DrystoneError
from gui.contents.routes import stand_in
from gui.contents.thumbnails import Thumbnails
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


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {}</svg>'


def drawn(worker: ThumbnailWorker, tmp_path, content: bytes) -> Image.Image:
    target = os.path.join(tmp_path, "drawn.webp")
    assert worker.make(written(tmp_path, "a.svg", content), target, "image", 320) == ""
    with Image.open(target) as picture:
        picture.load()
        return picture


def is_lime(picture: Image.Image, place: tuple[int, int]) -> bool:
    """Tell whether a place is lime; WebP moves colours a little."""
    red, green, blue, alpha = picture.convert("RGBA").getpixel(place)
    return max(red, blue) < 20 and min(green, alpha) > 235


def test_a_drawing_is_drawn(tmp_path, worker: ThumbnailWorker):
    """Packed or not, in old encodings, with the entities that drawing programs write."""
    body = SVG.format('width="20mm" height="10mm"><rect width="100%" height="100%" fill="lime"/>')
    illustrator = f'<!DOCTYPE svg [<!ENTITY ns "http://ns.example/">]><!-- &#228; -->{body}'
    for content in (
        body.encode(),
        b"\xef\xbb\xbf\n" + body.encode(),
        f'<?xml version="1.0" encoding="UTF-16"?>{body}'.encode("utf-16"),
        gzip.compress(body.encode()),
        illustrator.replace("<rect", '<rect xmlns:i="&ns;" i:x="&ns;"').encode(),
    ):
        picture = drawn(worker, tmp_path, content)
        assert picture.size == (320, 160)
        assert is_lime(picture, (160, 80))
    # Who marks a place in it has to find it in the drawing.
    facts = source_facts(os.path.join(tmp_path, "drawn.webp"))
    assert facts is not None and (facts.width, facts.height, facts.orientation) == (76, 38, 1)


@pytest.mark.parametrize("element", ["image", "feImage", "use", "sub"])
def test_a_drawing_shows_nothing_from_outside_itself(
    tmp_path, worker: ThumbnailWorker, element: str
):
    secret = os.path.join(tmp_path, "secret.png")
    Image.new("RGB", (8, 8), "red").save(secret)
    inside = BytesIO()
    Image.new("RGB", (8, 8), "lime").save(inside, "PNG")
    whole = 'width="20" height="20"'
    for href in (secret, f"file://{secret}", f"  {secret}", "secret.png", "DATA:text/plain,x"):
        reference = f'<{element} {whole} xlink:href="{href}" href="{href}"/>'
        if element == "feImage":
            reference = f'<filter id="f">{reference}</filter><rect {whole} filter="url(#f)"/>'
        if element == "sub":
            sub = SVG.format(f'{whole}><image {whole} href="{href}"/>').encode()
            data = "data:image/svg+xml;base64," + base64.b64encode(sub).decode()
            reference = f'<image {whole} href="{data}"/>'
        picture = drawn(worker, tmp_path, SVG.format(f"{whole}>{reference}").encode())
        colours = {colour for _, colour in picture.convert("RGBA").getcolors() or []}
        assert all(red < 128 or alpha == 0 for red, _, _, alpha in colours), (href, colours)
    data = "data:image/png;base64," + base64.b64encode(inside.getvalue()).decode()
    own = drawn(worker, tmp_path, SVG.format(f'{whole}><image {whole} href="{data}"/>').encode())
    assert is_lime(own, (160, 160))


@pytest.mark.parametrize(
    "content",
    [
        b"<svg",
        b"<html><svg xmlns='http://www.w3.org/2000/svg'/></html>",
        b"<!DOCTYPE s [<!ENTITY a 'aaaaaaaaaa'>"
        + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><svg xmlns='http://www.w3.org/2000/svg'><text>&j;</text></svg>",
        b"<!DOCTYPE s [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
        b"<svg xmlns='http://www.w3.org/2000/svg'><text>&a;</text></svg>",
        gzip.compress(b"<svg>" + b" " * 60_000_000),
    ],
    ids=["cut", "page", "entities", "outside", "bomb"],
)
def test_a_drawing_that_cannot_be_drawn_has_a_reason(
    tmp_path, worker: ThumbnailWorker, content: bytes
):
    target = os.path.join(tmp_path, "t.webp")
    assert worker.make(written(tmp_path, "a", content), target, "image", 320)
    assert not os.path.exists(target)


def test_a_huge_drawing_is_a_small_picture(tmp_path, worker: ThumbnailWorker):
    body = SVG.format('width="1" height="1e9" viewBox="0 0 2000000 1000000"><g/>').encode()
    assert max(drawn(worker, tmp_path, body).size) <= 320


def test_a_picture_of_a_telephone_is_made_small(tmp_path, worker: ThumbnailWorker):
    import pillow_heif

    source = os.path.join(tmp_path, "a.heic")
    pillow_heif.from_pillow(Image.new("RGB", (900, 600), "lime")).save(source, quality=90)
    target = os.path.join(tmp_path, "t.webp")
    assert worker.make(source, target, "image", 320) == ""
    with Image.open(target) as picture:
        assert picture.size == (320, 213)


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


def test_a_sound_is_a_waveform_or_its_cover(tmp_path, worker: ThumbnailWorker):
    av = pytest.importorskip("av", reason="av is not installed")
    source, target = os.path.join(tmp_path, "a.wav"), os.path.join(tmp_path, "a.webp")
    with av.open(source, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8_000)
        # Silent at first, loud then.
        samples = np.zeros((1, 16_000), np.int16)
        samples[0, 8_000:] = 30_000 * np.sin(np.arange(8_000))
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8_000
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    assert worker.make(source, target, "sound", 160) == ""
    with Image.open(target) as picture:
        assert picture.size == (160, 120)
        above = [picture.convert("L").getpixel((x, 20)) for x in range(160)]
        assert max(above[:70]) < 60 < max(above[90:])
    assert "Invalid data" in worker.make(written(tmp_path, "b", b"none"), target, "sound", 160)


def test_a_pdf_is_its_first_page(tmp_path, worker: ThumbnailWorker):
    pypdfium2 = pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed")
    source, target = os.path.join(tmp_path, "a.pdf"), os.path.join(tmp_path, "a.webp")
    document = pypdfium2.PdfDocument.new()
    document.new_page(300, 600)
    document.save(source)
    assert worker.make(source, target, "document", 160) == ""
    with Image.open(target) as picture:
        assert picture.size == (80, 160)
    assert worker.make(written(tmp_path, "b", b"%PDF-1.7 none"), target, "document", 160)


def test_a_psd_is_a_picture(tmp_path, worker: ThumbnailWorker):
    # 26 bytes of header, three empty sections, then rows as they are: 4 x 2 pixels of one grey.
    head = b"8BPS" + (1).to_bytes(2, "big") + bytes(6) + (3).to_bytes(2, "big")
    sizes = b"".join(
        one.to_bytes(length, "big") for one, length in ((2, 4), (4, 4), (8, 2), (3, 2))
    )
    content = head + sizes + bytes(12) + bytes(2) + b"\x90" * 24
    target = os.path.join(tmp_path, "a.webp")
    assert worker.make(written(tmp_path, "a.psd", content), target, "image", 160) == ""
    with Image.open(target) as picture:
        assert picture.size == (4, 2)


def test_what_cannot_be_drawn_is_a_symbol_with_its_type():
    drawing = stand_in("broken", "jxl").body.decode()
    assert "JXL: cannot be drawn" in drawing and "Broken" not in drawing


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


def test_a_picture_that_was_made_while_its_object_was_purged_does_not_stay(scene: Scene, tmp_path):
    node = scene.database.explore.page(gui_harness.images(), limit=1)[0]
    made = Thumbnails(scene.store.client, str(tmp_path), 10**9, 1)
    try:
        purged = hashlib.sha256(b"purged").hexdigest()
        for key in (node.key, purged):
            os.makedirs(tmp_path / key[:2], exist_ok=True)
            (tmp_path / key[:2] / f"{key}-small.webp").write_bytes(b"made before")
        assert made._kept(f"{node.key}-small", node.key).state == "ready"
        with pytest.raises(DrystoneError):
            made._kept(f"{purged}-small", purged)
        assert not (tmp_path / purged[:2] / f"{purged}-small.webp").exists()
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
