"""`drystone gui`: people from the command line, and the server as a companion."""

from __future__ import annotations

import json
import os

import pytest
from gui_harness import PASSWORD, Scene
from typer.testing import CliRunner

from base.errors import UsageError
from gui import companion
from gui.cli.app import app
from gui.core.config import load_gui_config


def run(scene: Scene, *arguments: str, stdin: str = ""):
    return CliRunner().invoke(
        app, ["gui", *arguments, "--config", scene.store.config_path], input=stdin
    )


def test_a_person_is_added_changed_and_shut_out(scene: Scene, tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n", encoding="utf-8")
    added = run(scene, "user", "add", "zoe", "--role", "operator", "--password-file", str(path))
    assert added.exit_code == 0 and PASSWORD not in added.output
    listed = json.loads(run(scene, "user", "list", "--json").stdout)
    assert next(one for one in listed if one["name"] == "zoe")["role"] == "operator"
    made = run(scene, "user", "token", "zoe", "nightly", "--role", "viewer")
    assert made.stdout.startswith("drystone_") and made.stdout.count("\n") == 1
    for arguments in (("role", "zoe", "viewer"), ("disable", "zoe"), ("enable", "zoe")):
        assert run(scene, "user", *arguments).exit_code == 0
    changed = run(scene, "user", "password", "zoe", "--password-file", "-", stdin="another one!\n")
    assert changed.exit_code == 0
    assert run(scene, "user", "token", "zoe", "nightly", "--remove").exit_code == 0


def test_a_password_is_never_an_argument_and_never_short(scene: Scene):
    nowhere = run(scene, "user", "add", "yan")
    assert isinstance(nowhere.exception, UsageError) and "--password-file" in str(nowhere.exception)
    short = run(scene, "user", "add", "yan", "--password-file", "-", stdin="short\n")
    assert isinstance(short.exception, UsageError) and "at least" in str(short.exception)
    role = run(scene, "user", "add", "yan", "--role", "king", "--password-file", "-")
    assert isinstance(role.exception, UsageError)
    named = run(scene, "user", "add", "Y N", "--password-file", "-", stdin=PASSWORD + "\n")
    assert isinstance(named.exception, UsageError)


def test_the_companion_starts_and_stops_the_server(served: Scene):
    said: list[str] = []
    companion.start(served.store.config_path, said.append)
    assert served.address in said[0] and "already" in said[0]
    running, line = companion.status(served.store.config_path)
    assert running and served.address in line
    shown = run(served, "status", "--json")
    assert json.loads(shown.stdout) == {"running": True, "address": served.address}


@pytest.mark.parametrize(
    "section", ["port = 99999", "unknown = 1", "host = 1", "poll_interval_s = 0"]
)
def test_a_wrong_section_is_explained(scene: Scene, tmp_path, section: str):
    with open(scene.store.config_path, encoding="utf-8") as file:
        text = file.read().partition("[gui]")[0]
    path = os.path.join(tmp_path, "drystone.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{text}[gui]\n{section}\n")
    with pytest.raises(UsageError, match=r"gui\."):
        load_gui_config(path)
