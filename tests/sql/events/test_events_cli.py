"""`drystone events` as a person uses it, on a real database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from command import run_text

from sql import Database

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))


def configured(folder: str, dsn: str) -> str:
    path = os.path.join(folder, "drystone.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'ssd = "ssd"\n[store]\nstore_id = "{"0" * 32}"\n[database]\ndsn = "{dsn}"\n')
    return path


def test_events_are_listed_and_a_wrong_position_has_one_line(
    database: Database, database_url: str, tmp_path
):
    config = configured(str(tmp_path), database_url)
    for number in range(3):
        database.events.add("run.trial", f"run \x1b[2J{number}", {"number": number})
    shown = run_text("events", config_path=config)
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == ["1", "2", "3"]
    assert "\x1b" not in shown.stdout and "\\x1b[2J2" in shown.stdout
    told = run_text("events", "--after", "1", "--limit", "1", "--json", config_path=config)
    part = json.loads(told.stdout)
    assert [one["data"] for one in part["events"]] == [{"number": 1}] and part["next_after"] == 2
    none = run_text("events", "--after", "0", "--type", "x", "--type", "y", config_path=config)
    assert none.returncode == 0 and "run.trial" not in none.stdout
    for arguments in (["--after", "4"], ["--after", "-1"], ["--limit", "0"]):
        refused = run_text("events", *arguments, config_path=config)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr, refused.stderr
    refused = run_text("events", "--after", "4", "--follow", config_path=config)
    assert refused.returncode == 2 and "begin at 0" in refused.stderr


def test_they_are_followed_until_it_is_stopped(database: Database, database_url: str, tmp_path):
    config = configured(str(tmp_path), database_url)
    database.events.add("run.trial", "run 1", {})
    command = [sys.executable, os.path.join(ROOT, "drystone.py"), "events", "--follow"]
    command += ["--after", "0", "--json", "--config", config]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        assert follower.stdout is not None and follower.stderr is not None
        assert json.loads(follower.stdout.readline())["subject"] == "run 1"
        database.events.add("run.trial", "run 2", {})
        assert json.loads(follower.stdout.readline())["subject"] == "run 2"
        follower.send_signal(signal.SIGINT)
        follower.wait(60)
        assert b"Traceback" not in follower.stderr.read()
