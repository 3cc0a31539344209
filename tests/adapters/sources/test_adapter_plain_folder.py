"""Plain folders: files made here with their metadata, hostile ones, and samples, read by eye."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import pytest
import reading_checks as checks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from adapters.ingest.dry_run import dry_run
from adapters.ingest.inbox import choose_adapter
from adapters.records.folder import ScrapeFolder
from adapters.sources.plain_folder import ADAPTERS

PLAIN = ADAPTERS[0]

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmp:Rating="4"
 exif:DateTimeOriginal="2001-02-03T04:05:06+02:00" exif:GPSLatitude="43,28.5N"
 exif:GPSLongitude="11,30,36W"><dc:title><rdf:Alt><rdf:li>From the sidecar</rdf:li></rdf:Alt>
</dc:title><dc:subject><rdf:Bag><rdf:li>wall</rdf:li><rdf:li>stone</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def jpeg(width: int = 40, height: int = 30) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x013B] = "Maker", "Model", 6, "Ann Other"
    exif[0x010E] = "A wall"
    detail = exif.get_ifd(0x8769)
    detail[0x9003], detail[0x9011], detail[0x829A], detail[0x8827] = (
        "2001:02:03 04:05:06", "+02:00", 0.5, 200,
    )  # fmt: skip
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "S", (10.0, 30.0, 0.0), "E", (20.0, 15.0, 36.0)
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def mp4() -> bytes:
    mvhd = box(b"mvhd", b"\0" * 12 + struct.pack(">II", 1000, 2500) + b"\0" * 80)
    tkhd = box(b"tkhd", b"\0" * 76 + struct.pack(">II", 640 << 16, 360 << 16))
    stsd = box(b"stsd", struct.pack(">II", 0, 1) + box(b"avc1", b"\0" * 8))
    media = box(b"mdia", box(b"minf", box(b"stbl", stsd)))
    return box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", mvhd + box(b"trak", tkhd + media))


def element(name: int, body: bytes) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + bytes([0x80 | len(body)]) + body


def webm() -> bytes:
    track = element(0x86, b"V_VP9") + element(
        0xE0, element(0xB0, b"\x02\x80") + element(0xBA, b"\x01\x68")
    )
    info = element(0x1549A966, element(0x4489, struct.pack(">d", 1500.0)))
    head = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm"
    return head + b"\x18\x53\x80\x67\xff" + info + element(0x1654AE6B, element(0xAE, track))


def test_a_photo(tmp_path: Path):
    (record,), problems = checks.read(PLAIN, checks.write(tmp_path, {"trip/a.jpg": jpeg()}))
    assert not problems
    checks.assert_says(
        record, node="file trip/a.jpg", source="file", is_root=True, title="A wall",
        time="2001-02-03T02:05:06+00:00", author="file:username:ann other", artist="Ann Other",
        camera_make="Maker", camera_model="Model", orientation=6, width=40, height=30,
        exposure_s=0.5, iso=200, taken_time="2001-02-03T02:05:06+00:00", taken_offset="+02:00",
        latitude=-10.5, longitude=20.26, detected_type="jpg", extension_matches=True,
        file_name="a.jpg", folder="trip",
    )  # fmt: skip
    assert checks.links_of(record) == [
        ("file:username:ann other", "file trip/a.jpg", "authored", None)
    ]
    assert record.complete["exif"]["DateTimeOriginal"] == "2001:02:03 04:05:06"


def test_a_sidecar_speaks_first_and_is_an_attachment(tmp_path: Path):
    files = {
        "a.jpg": jpeg(), "a.xmp": XMP, "b.jpg": jpeg(), "b.jpg.xmp": XMP.encode("utf-16"),
        "c.jpg": jpeg(), "c.png": b"", "c.xmp": XMP,
        "d.xmp": "<!DOCTYPE x [<!ENTITY e 'v'>]><x>&e;</x>",
    }  # fmt: skip
    records, _ = checks.read(PLAIN, checks.write(tmp_path, files))
    found = {record.path: record for record in records}
    assert found.keys() == files.keys()
    for name, sidecar in (("a.jpg", "a.xmp"), ("b.jpg", "b.jpg.xmp")):
        checks.assert_says(
            found[name], title="From the sidecar", keywords=["wall", "stone"], rating=4,
            latitude=43.475, longitude=-11.51, camera_make="Maker",
        )  # fmt: skip
        assert checks.links_of(found[sidecar]) == [
            (f"file {name}", f"file {sidecar}", "attachment", None)
        ]
        checks.assert_says(found[sidecar], is_root=False)
    # Two files of that name: nobody knows whose it is, so it speaks for itself.
    checks.assert_says(found["c.jpg"], title="A wall")
    checks.assert_says(found["c.xmp"], title="From the sidecar")
    checks.assert_says(found["d.xmp"], title=None)


def test_a_folder_of_captions_is_known_as_one(tmp_path: Path):
    files = {"10_fox/1.jpg": jpeg(), "10_fox/1.txt": "a red fox", "10_fox/2.jpg": jpeg()}
    root = checks.write(tmp_path, files | {"10_fox/2.txt": "fox, snow, solo, two tails"})
    assert choose_adapter(root, "auto") == "plain-folder"
    # Boxes as YOLO writes them are no captions.
    boxes = {"a/1.jpg": jpeg(), "a/1.txt": "0 0.5 0.5 0.1 0.1\n"}
    folder = ScrapeFolder.of(checks.write(tmp_path / "boxes", boxes))
    assert PLAIN.sniff(folder).confidence < 0.5


def test_a_caption_belongs_to_a_file_that_another_adapter_described(tmp_path: Path):
    sidecar = {"category": "example", "subcategory": "user", "id": 1, "extension": "jpg"}
    files = {"1.jpg": jpeg(), "1.jpg.json": json.dumps(sidecar), "1.jpg.txt": "fox, snow, red"}
    checks.write(tmp_path, files)
    counts, problems = dry_run(str(tmp_path), "gallery-dl")
    assert (counts.records, counts.observations, problems) == (2, 6, [])


def test_videos(tmp_path: Path):
    records, _ = checks.read(PLAIN, checks.write(tmp_path, {"a.mp4": mp4(), "b.webm": webm()}))
    checks.assert_says(records[0], width=640, height=360, duration_s=2.5, codec="avc1")
    checks.assert_says(records[1], width=640, height=360, duration_s=1.5, codec="V_VP9")


def test_types_are_told_by_bytes_and_no_file_is_lost(tmp_path: Path):
    bomb = struct.pack(">4sIIBBBBB", b"IHDR", 60_000, 60_000, 8, 6, 0, 0, 0)
    files = {
        "photo.png": jpeg(), "page.jpg": "<!DOCTYPE html><html>", "cut.jpg": jpeg()[:300],
        "bomb.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0",
        "bomb.png": b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + bomb + b"\0\0\0\0",
        "empty.mp3": "", "song.mp3": b"ID3\4\0\0\0\0\0\0", "doc.pdf": "%PDF-1.7\ngarbage",
        "notes.txt": "hello", "noextension": b"\0\1\2", "name\n'; DROP TABLE.jpg": jpeg(),
    }  # fmt: skip
    records, problems = checks.read(PLAIN, checks.write(tmp_path, files))
    assert not problems
    found = {record.path: record for record in records}
    assert found.keys() == files.keys()
    checks.assert_says(found["photo.png"], detected_type="jpg", extension_matches=False, width=40)
    checks.assert_says(found["page.jpg"], detected_type="html", extension_matches=False)
    checks.assert_says(found["bomb.gif"], width=65535, height=65535)
    checks.assert_says(found["bomb.png"], width=60_000, height=60_000)
    checks.assert_says(found["noextension"], detected_type=None, extension_matches=None)


# What a viewer of metadata shows for these files.
SAMPLES = {
    "images-exif": {
        "exif-samples/gps/DSCN0010.jpg": {"camera_make": "NIKON", "camera_model": "COOLPIX P6000",
            "taken_time": "2008-10-22T16:28:39+00:00", "taken_offset": None, "iso": 64,
            "focal_length_mm": 24.0, "orientation": 1, "width": 640, "height": 480, "title": None},
        "exif-samples/exif-org/nikon-e950.jpg": {"camera_model": "E950", "iso": 80,
            "taken_time": "2001-04-06T11:51:40+00:00", "software": "v981-79", "f_number": 5.5},
        "exif-samples/Nikon_D70.jpg": {"camera_model": "NIKON D70",
            "taken_time": "2008-03-15T13:52:01+00:00", "taken_offset": "-04:00"},
        "exif-samples/Canon_40D.jpg": {"camera_model": "Canon EOS 40D", "iso": 100,
            "focal_length_mm": 135.0, "taken_time": "2008-05-30T15:56:01+00:00"},
        "exif-samples/orientation/landscape_8.jpg": {"orientation": 8, "width": 450, "height": 600},
        "exif-samples/heic/samplefilehub.heif": {"width": 640, "height": 426,
            "detected_type": "heic", "extension_matches": True},
        "exif-samples/tests/32-lens_data.jpeg": {"artist": "Ilya Kurikhin", "iso": 200,
            "rights": "Ilya Kurikhin", "author": "file:username:ilya kurikhin"},
        "immich/dates/datetimeoriginal-gps.jpg": {"latitude": 39.0, "longitude": -108.0,
            "taken_time": "2025-12-01T11:30:00+00:00"},
        "immich/tags/picasa.jpg": {"keywords": ["Frost", "Yard"],
            "description": "Image-Description"},
        "immich/faces/portrait.jpg": {"keywords": ["Marie Curie", "Pierre Curie"]},
        "immich/xmp/dates/2000.xmp": {"time": "2000-09-27T12:35:33+00:00",
            "taken_offset": "+02:00"},
    },
    "images-odd": {
        "danbooru/png/jpg.png": {"detected_type": "jpg", "extension_matches": False},
        "danbooru/png/empty.png": {"detected_type": None, "width": None},
        "danbooru/avif/kimono.rotate90.avif": {"width": 1024, "height": 722, "orientation": 6},
        "danbooru/webp/nyancat.webp": {"frame_count": 12, "width": 400, "height": 400},
        "pillow/pil_sample_cmyk.jpg": {"color_mode": "CMYK"},
        "pillow/16bit.cropped.tif": {"color_mode": "I;16", "width": 64},
    },
    "audio": {
        "mediafile/full.flac": {"title": "full", "artist": "the artist", "album": "the album",
            "track": 2, "disc": 4, "genre": "the genre", "release_date": "2001"},
        "mediafile/full.mp3": {"title": "full", "album_artist": "the album artist", "track": 2,
            "description": "the comments"},
        "mediafile/full.m4a": {"title": "full", "artist": "the artist", "disc": 4},
        "mediafile/full.ogg": {"title": "full", "album": "the album", "codec": "oggvorbis"},
        "mutagen/silence-44-s.flac": {"title": "Silence", "artist": "piman; jzig", "track": 2},
        "mutagen/emptyfile.mp3": {"title": None, "duration_s": None},
    },
    "video": {
        "danbooru/mp4/test-300x300.mp4": {"width": 300, "height": 300, "codec": "avc1"},
        "danbooru/webm/test-audio.webm": {"width": 1280, "codec": "V_VP9, A_OPUS"},
        "danbooru/mkv/test-512x512.mkv": {"width": 512, "duration_s": 0.48},
    },
    "documents": {
        "020-xmp/output_with_metadata_pymupdf.pdf": {"title": "Sample PDF with XMP Metadata",
            "artist": "John Doe", "page_count": 1, "is_encrypted": False},
        "005-libreoffice-writer-password/libreoffice-writer-password.pdf": {"is_encrypted": True,
            "page_count": None},
        "015-arabic/habibi.pdf": {"title": "habibi", "producer": "WeasyPrint 54.1"},
        "006-pdflatex-outline/pdflatex-outline.pdf": {"page_count": 4,
            "software": "LaTeX with hyperref"},
    },
}  # fmt: skip
FILES = {"images-exif": 57, "images-odd": 81, "images-photos": 28, "images-duplicates": 48,
         "audio": 16, "video": 28, "documents": 9, "ugoira": 5}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_samples_say_what_a_person_reads_in_them(name: str):
    records, problems = checks.read(PLAIN, checks.sample(name))
    # A sidecar by itself is read, and said to have lost its file.
    alone = [path for path in (record.path for record in records) if path.endswith("2000.xmp")]
    assert [problem.path for problem in problems] == alone and len(records) == FILES[name]
    found = {record.path: record for record in records}
    for path, expected in SAMPLES.get(name, {}).items():
        checks.assert_says(found[path], **expected)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutated_files(seed: int, tmp_path_factory: pytest.TempPathFactory):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    files = {
        "a.jpg": jpeg(),
        "a.xmp": XMP,
        "b.mp4": mp4(),
        "c.webm": webm(),
        "d.mp3": b"ID3\4" + b"\0" * 60,
    }
    for extension, kind in (
        ("png", "PNG"),
        ("gif", "GIF"),
        ("webp", "WEBP"),
        ("tif", "TIFF"),
        ("avif", "AVIF"),
    ):
        out = io.BytesIO()
        Image.new("RGB", (9, 9)).save(out, kind)
        files[f"p.{extension}"] = out.getvalue()
    checks.write(source, files)
    checks.survives(PLAIN, source, target, seed)
