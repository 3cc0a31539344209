"""Samples for the shipped actions, made here: pictures, sounds, a video, documents, and hostile
files. It owns their making, and no test."""

from __future__ import annotations

import io
import os
import struct
import wave
import zlib

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont


def picture(seed: int, size: tuple[int, int] = (320, 240), mode: str = "RGB") -> Image.Image:
    """Return a picture of coloured shapes; the same seed gives the same one."""
    random = np.random.default_rng(seed)
    image = Image.new(mode, size, tuple(int(v) for v in random.integers(0, 255, len(mode))))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        left, top = (int(random.integers(0, side)) for side in size)
        right, bottom = (int(random.integers(0, side)) for side in size)
        box = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        colour = tuple(int(v) for v in random.integers(0, 255, len(mode)))
        draw.ellipse(box, fill=colour)
    return image


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """Return the bytes of a picture."""
    data = io.BytesIO()
    image.save(data, form, **options)
    return data.getvalue()


def camera_jpeg() -> bytes:
    """Return a JPEG that a camera turned by a quarter, taken in the south-west of the world."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F], exif[0x0110] = "Example", "Camera 1\0"
    exif[0x0132] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 30.0, 0.0), 3: "W", 4: (70.0, 15.0, 0.0)})
    return encoded(picture(1), "JPEG", exif=exif, quality=92)


def text_picture(text: str) -> Image.Image:
    """Return black words on white."""
    image = Image.new("RGB", (120 + 34 * len(text), 120), "white")
    draw = ImageDraw.Draw(image)
    draw.text((30, 30), text, fill="black", font=ImageFont.load_default(48))
    return image


def bomb_png(side: int = 60_000) -> bytes:
    """Return a PNG of some kilobytes that says it is side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def hostile_pictures() -> dict[str, bytes]:
    """Return files that no worker can read, and that must not stop one."""
    good = encoded(picture(2), "PNG")
    return {
        "90-truncated.png": good[: len(good) // 2],
        "91-bomb.png": bomb_png(),
        "92-empty.png": b"",
        "93-text.jpg": b"this is no picture at all\n" * 40,
        "94-noise.webp": bytes(range(256)) * 20,
        "95-eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(x) run\n",
    }


def tone(seconds: float, hertz: float = 440.0, level: float = 0.5, rate: int = 44_100) -> bytes:
    """Return a WAV file with a sine in two channels."""
    times = np.arange(int(seconds * rate)) / rate
    values = (np.sin(2 * np.pi * hertz * times) * level * 32767).astype("<i2")
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(values, 2).tobytes())
    return data.getvalue()


def video(path: str, scenes: tuple[int, ...] = (1, 2, 3), frames: int = 20) -> None:
    """Write a video whose scenes are pictures that move a little; 20 frames per second."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=20, bit_rate=1_000_000)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for seed in scenes:
            still = picture(seed)
            for number in range(frames):
                moved = still.transform(
                    still.size, Image.Transform.AFFINE, (1, 0, number / 10, 0, 1, 0)
                )
                for packet in stream.encode(av.VideoFrame.from_image(moved)):
                    container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def pdf(*pages: str) -> bytes:
    """Return a PDF with one line of text per page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, text in enumerate(pages):
        content = f"BT /F1 24 Tf 20 100 Td ({text}) Tj ET".encode()
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 500 200] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return (
        data
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
        )
        + b"startxref\n%d\n%%%%EOF\n" % len(data)
    )


def write_all(folder: str, files: dict[str, bytes]) -> None:
    """Write files into a folder."""
    os.makedirs(folder, exist_ok=True)
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
