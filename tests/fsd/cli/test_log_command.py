"""`drystone log`: what all daemons said, in order, chosen by ids, and followed."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time

import pytest
from command import ROOT, drystone, json_lines

from base.logging.file import LogFile
from base.logging.form import JsonLines
from base.logging.ids import about

FILE_SIZE_BYTES = 1_500


@pytest.fixture
def config(tmp_path) -> str:
    """A drystone.toml of which nothing but its place is read."""
    path = tmp_path / "drystone.toml"
    path.write_text("")
    return str(path)


def daemon(config: str, name: str) -> logging.Logger:
    """A daemon that writes its log, moved aside now and then."""
    path = os.path.join(os.path.dirname(config), "run", "log", f"{name}.jsonl")
    made = logging.Logger("fsd.test")
    handler = LogFile(path, FILE_SIZE_BYTES, 50)
    handler.setFormatter(JsonLines(name))
    made.addHandler(handler)
    return made


def messages(config: str, *options: str) -> list[str]:
    done = drystone("log", "--config", config, "--json", *options)
    return [one["message"] for one in json_lines(done)]


def test_it_merges_daemons_by_time_and_reads_what_was_moved_aside(config: str):
    engine, pages = daemon(config, "engine"), daemon(config, "pages")
    for number in range(100):
        (engine, pages)[number % 2].info("%d", number)
    assert len(os.listdir(os.path.join(os.path.dirname(config), "run", "log"))) > 4
    assert messages(config, "--lines", "0") == [str(number) for number in range(100)]
    assert messages(config) == [str(number) for number in range(50, 100)]
    assert messages(config, "pages", "--lines", "2") == ["97", "99"]


def test_it_chooses_by_level_and_ids_and_shows_text(config: str):
    engine = daemon(config, "engine")
    engine.info("one", extra=about("x", run=7, request_id="abc"))
    engine.warning("two \x1b[2J", extra=about("x", run=7, job="0f"))
    engine.error("three", extra=about("x", run=70, trace_id="4b"))
    assert messages(config, "--run", "7") == ["one", "two \x1b[2J"]
    assert messages(config, "--request", "abc") == ["one"]
    assert messages(config, "--job", "0f", "--run", "7") == ["two \x1b[2J"]
    assert messages(config, "--trace", "4b") == ["three"]
    assert messages(config, "--level", "WARNING") == ["two \x1b[2J", "three"]
    text = drystone("log", "--config", config, "--level", "ERROR").stdout.decode()
    assert text.startswith("engine: 20") and text.endswith("Z ERROR three [run=70 trace_id=4b]\n")
    assert b"\x1b" not in drystone("log", "--config", config).stdout


def test_what_is_no_line_of_ours_and_no_daemon(config: str):
    daemon(config, "engine").info("one")
    with open(os.path.join(os.path.dirname(config), "run", "log", "engine.jsonl"), "a") as file:
        file.write('{"time": "2026\n[1]\n')
    daemon(config, "engine").info("two")
    assert messages(config) == ["one", "two"]
    refused = drystone("log", "--config", config, "nope", expect=2)
    assert refused.stderr == b"drystone: there is no log of 'nope'; there are engine\n"


def test_it_follows_a_log_that_is_moved_aside_and_a_daemon_that_begins(config: str):
    engine = daemon(config, "engine")
    engine.info("before")
    command = [sys.executable, os.path.join(ROOT, "drystone.py"), "log", "--config", config]
    with subprocess.Popen([*command, "--follow", "--json"], stdout=subprocess.PIPE) as followed:
        try:
            assert followed.stdout is not None
            first = json.loads(followed.stdout.readline())
            assert first["message"] == "before"
            for number in range(60):  # Several files of it.
                engine.info("%d", number)
                time.sleep(0.005)
            daemon(config, "pages").info("late")
            said = [json.loads(followed.stdout.readline())["message"] for _ in range(61)]
            assert sorted(said) == sorted([*(str(number) for number in range(60)), "late"])
        finally:
            followed.kill()
