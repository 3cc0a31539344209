"""The worker programs for sound, video and documents, alone; and what all workers share."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import library_samples as samples
import numpy as np
import pytest
from library_folders import LIBRARY, PARTIAL, Folders
from PIL import Image


@pytest.fixture
def folders(tmp_path) -> Folders:
    made = Folders(str(tmp_path / "in"), str(tmp_path / "out"))
    os.mkdir(made.input)
    os.mkdir(made.output)
    return made


def test_key_frames_are_one_per_scene(folders: Folders):
    path = os.path.join(folders.input, "1.mp4")
    samples.video(path)
    with open(path, "rb") as file:
        whole = file.read()
    hostile = {"91.mp4": whole[: len(whole) // 3], "92.mp4": b"", "93.mkv": os.urandom(5000)}
    sound_only = {"94.mp4": samples.tone(0.2)}
    samples.write_all(folders.input, hostile | sound_only)
    folders.run("key_frames", code=PARTIAL)
    with open(os.path.join(folders.output, "frames.jsonl"), encoding="utf-8") as file:
        frames = [json.loads(line) for line in file]
    assert [(frame["frame"], frame["time_s"]) for frame in frames] == [
        ("1/00000.jpg", 0.0),
        ("1/00001.jpg", 1.0),
        ("1/00002.jpg", 2.0),
    ]
    for frame in frames:
        with Image.open(os.path.join(folders.output, frame["frame"])) as image:
            assert image.size == (320, 240)
    assert folders.errors() == set(hostile) | set(sound_only)


def test_key_frames_have_a_limit(folders: Folders):
    samples.video(os.path.join(folders.input, "1.mp4"))
    folders.run("key_frames", "--frames-max", "2")
    assert folders.files() == {"frames.jsonl", "1/00000.jpg", "1/00001.jpg"}


@pytest.mark.parametrize(("every_s", "frames_max", "count"), [(1, 9, 3), (1, 2, 2), (10, 3, 1)])
def test_key_frames_are_spread_over_the_whole(
    folders: Folders, every_s: int, frames_max: int, count: int
):
    samples.video(os.path.join(folders.input, "1.mp4"))
    asked = ("--every-s", str(every_s), "--frames-max", str(frames_max))
    folders.run("key_frames", *asked)
    with open(os.path.join(folders.output, "frames.jsonl"), encoding="utf-8") as file:
        times_s = [json.loads(line)["time_s"] for line in file]
    assert len(times_s) == count and times_s == sorted(set(times_s))
    assert len(folders.files()) == count + 1


SOUNDS = {
    "1.wav": samples.tone(2.0, level=0.5),
    "2.wav": samples.tone(0.5, level=0.0),
}
HOSTILE_SOUNDS = {"91.wav": b"", "92.mp3": os.urandom(4000), "93.ogg": b"OggS" + bytes(100)}


def test_audio_probe_measures(folders: Folders):
    samples.write_all(folders.input, SOUNDS | HOSTILE_SOUNDS)
    folders.run("audio_probe", code=PARTIAL)
    records = folders.records("sounds.jsonl")
    assert set(records) == set(SOUNDS)
    assert folders.errors() == set(HOSTILE_SOUNDS)
    sine = records["1.wav"]
    assert (sine["sample_rate_hz"], sine["channels"], sine["duration_s"]) == (44_100, 2, 2.0)
    assert sine["peak_dbfs"] == pytest.approx(-6.02, abs=0.05)
    assert sine["mean_dbfs"] == pytest.approx(-9.03, abs=0.05)
    # Two channels of a sine at -6 dBFS: about -6 LUFS at 440 Hz (EBU Tech 3341).
    assert sine["loudness_lufs"] == pytest.approx(-6.7, abs=0.7)
    assert records["2.wav"]["peak_dbfs"] == -120.0
    assert records["2.wav"]["loudness_lufs"] is None


def test_spectrograms_show_the_tone(folders: Folders):
    samples.write_all(folders.input, SOUNDS | HOSTILE_SOUNDS)
    folders.run("audio_spectrogram", "--width", "100", "--height", "513", code=PARTIAL)
    assert folders.files() == {"1.png", "2.png", "errors.jsonl"}
    with Image.open(os.path.join(folders.output, "1.png")) as image:
        assert image.size == (100, 513)
        brightest = int(np.asarray(image)[:, 50].argmax())
    assert 512 - brightest == pytest.approx(440 / (22_050 / 1024), abs=2)


def test_text_of_documents(folders: Folders):
    page = "<html><title>A &amp; B</title><body><script>no()</script><p>Dry<p>stone</body></html>"
    files = {
        "1.pdf": samples.pdf("Hello wall", "Second page"),
        "2.html": page.encode(),
        "3.txt": "Grüße\r\nan alle\0\x07".encode(),
        "4.txt": "Grüße".encode("cp1252"),
        "5.txt": "BOM".encode("utf-16"),
        "6.txt": samples.pdf("By its bytes"),
        "7.md": b"x" * 1_000_001,
    }
    hostile = {
        "91.pdf": samples.pdf("cut")[:60],
        "92.txt": b"",
        "93.txt": b"\xff\0\xff\0" * 100,
    }
    samples.write_all(folders.input, files | hostile)
    folders.run("text_extract", code=PARTIAL)
    records = folders.records("texts.jsonl")
    assert set(records) == set(files)
    assert folders.errors() == set(hostile)
    assert (records["1.pdf"]["text"], records["1.pdf"]["pages"]) == ("Hello wall\n\nSecond page", 2)
    assert (records["2.html"]["title"], records["2.html"]["text"]) == ("A & B", "Dry\nstone")
    assert records["3.txt"]["text"] == "Grüße\nan alle"
    assert records["4.txt"]["text"] == "Grüße"
    assert records["5.txt"]["text"] == "BOM"
    assert records["6.txt"]["kind"] == "pdf"
    assert (records["7.md"]["characters"], records["7.md"]["truncated"]) == (1_000_001, True)
    assert len(records["7.md"]["text"]) == 1_000_000


CRASHING = """
import ctypes, os, sys, time
sys.path.insert(0, sys.argv[1])
from each_input import append, each_input
def work(path):
    name = os.path.basename(path)
    if name == "2": ctypes.string_at(0)
    if name == "3": time.sleep(600)
    if name == "4": os._exit(9)
    if name == "5": bytearray(1 << 60)
    append(os.path.join(sys.argv[3], "done.jsonl"), {"file": name})
sys.exit(each_input(sys.argv[2], sys.argv[3], work, seconds=1))
"""


def test_a_crash_or_a_hang_costs_one_input(folders: Folders):
    samples.write_all(folders.input, {str(number): b"x" for number in range(1, 8)})
    odd = os.fsencode(folders.input) + b"/6\xff"
    with open(odd, "wb"):
        pass
    program = [sys.executable, "-c", CRASHING, LIBRARY, folders.input, folders.output]
    assert subprocess.run(program, capture_output=True, timeout=60).returncode == PARTIAL
    assert set(folders.records("done.jsonl")) == {"1", "6", "6\udcff", "7"}
    reasons = {name: record["reason"] for name, record in folders.records("errors.jsonl").items()}
    assert reasons["2"] == "crashed: SIGSEGV"
    assert reasons["3"] == "took longer than 1 s"
    assert reasons["4"] == "crashed: exit code 9"
    assert reasons["5"].startswith("MemoryError")
