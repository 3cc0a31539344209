"""The growth bench runs from end to end with tiny numbers, and its shapes are as they should."""

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from command import ROOT

from bench.growth.command import ROWS
from bench.growth.plot import ENGINE_MEMORIES, SERIES, draw

SVG = "{http://www.w3.org/2000/svg}"
OBJECTS = 20_000
"""Fewer would measure the tables' own pages."""


@pytest.mark.seconds(13)
def test_a_tiny_store_grows_and_is_measured(short_tmp, tmp_path):
    found, plot = tmp_path / "growth.json", tmp_path / "growth.svg"
    arguments = ["--objects", str(OBJECTS), "--json", str(found), "--plot", str(plot)]
    arguments += ["--packers", "1", "--folder", short_tmp, "--sources", str(tmp_path)]
    command = [sys.executable, "-m", "bench.growth", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(found.read_text())
    assert (figures["objects"], figures["put_files"]) == (OBJECTS, OBJECTS)
    assert figures["index_live_bytes_per_object"] <= 110
    # With free pages, which are as many in each run: one process divides the objects among shards.
    assert figures["index_bytes_per_object"] <= 125
    assert figures["tree_bytes_per_path"] <= 160
    assert max(figures[name] for name in ENGINE_MEMORIES) < 300
    assert figures["view_million_files"] == 2 * OBJECTS
    assert 0.95 * OBJECTS < figures["plan_half_objects"] < 1.05 * OBJECTS
    assert os.listdir(short_tmp) == []
    lines = done.stdout.splitlines()
    assert lines[0] == f"| objects | {OBJECTS:,} |"
    assert len(lines) == 2 + len(ROWS)
    check_plot(plot.read_text(), points=1)


def check_plot(text: str, points: int) -> None:
    plot = ElementTree.fromstring(text)
    lines = [line.get("points", "").split() for line in plot.iter(f"{SVG}polyline")]
    assert len(list(plot.iter(f"{SVG}circle"))) == points * len(SERIES)
    _, _, width, height = map(float, plot.get("viewBox", "").split())
    for place in (place for line in lines for place in line):
        x, y = map(float, place.split(","))
        assert 0 <= x <= width and 0 <= y <= height


def test_the_plot_of_wide_figures_stays_in_its_frame():
    figures = [
        {
            "objects": float(10**power),
            "put_objects_per_s": 12_000.0,
            "first_page_ms": 20.0,
            **dict.fromkeys(ENGINE_MEMORIES, 45.0),
            "view_million_s": 10.0,
            "start_s": 1.1,
            "plan_half_s": 10 ** (power - 4.5),
            "reindex_s": 10 ** (power - 5.0),
        }
        for power in (5, 6, 7)
    ]
    check_plot(draw(figures), points=3)
