"""The units of systemd: rendered for a real store, and judged by systemd's own checker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from base.errors import UsageError
from gui.services import services
from jobs.scheduler.schedules import BUILT_IN

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def verify(folder: str, *, user: bool) -> str:
    """Return what systemd has to say about all units of a folder."""
    units = sorted(name for name in os.listdir(folder) if not name.endswith(".d"))
    named = [
        name.replace("@.", "@1-io-default." if "worker" in name else "@tmp-x.") for name in units
    ]
    mode = ["--user"] if user else []
    command = ["systemd-analyze", *mode, "--man=no", "--recursive-errors=no", "verify", *named]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "SYSTEMD_UNIT_PATH": folder + ":", "XDG_RUNTIME_DIR": folder},
    )
    return done.stderr


@needs_systemd
@pytest.mark.parametrize("user", [False, True])
def test_systemd_has_nothing_to_say(store, tmp_path, user):
    made = store(started=False)
    units = services.render(made.config_path, user=user)
    services.install(services.Target(str(tmp_path), user), units)
    assert verify(str(tmp_path), user=user) == ""


@needs_systemd
def test_systemd_is_really_asked(store, tmp_path):
    units = services.render(store(started=False).config_path, user=False)
    units["drystone-gui.service"] += "\n[Service]\nKillmode=mixed\n"
    services.install(services.Target(str(tmp_path), False), units)
    assert "Killmode" in verify(str(tmp_path), user=False)


def test_the_same_again_writes_nothing(store, tmp_path):
    target = services.Target(str(tmp_path), False)
    units = services.render(store(started=False).config_path, user=False)
    assert len(services.install(target, units)) == len(units)
    assert services.install(target, units) == []


def test_the_timer_of_former_versions_goes(store, tmp_path):
    """The scheduler makes the daily backup; two would make one each."""
    wants = tmp_path / "timers.target.wants"
    wants.mkdir()
    (tmp_path / "drystone-backup.timer").write_text("[Timer]\nOnCalendar=daily\n")
    (wants / "drystone-backup.timer").symlink_to(tmp_path / "drystone-backup.timer")
    (tmp_path / "other.timer").write_text("[Timer]\n")
    target = services.target(user=False, folder=str(tmp_path))
    services.install(target, services.render(store(started=False).config_path, user=False))
    assert list(wants.iterdir()) == [] and (tmp_path / "other.timer").exists()
    assert not [name for name in os.listdir(tmp_path) if "backup" in name]
    schedules = [one.name for one in BUILT_IN if one.workflow == "backup"]
    assert schedules == ["backup"], "the one that is left"


def test_only_the_mount_is_without_a_sandbox(store):
    units = services.render(store(started=False).config_path, user=False)
    hardened = {name.partition(".d/")[0] for name in units if name.endswith("hardening.conf")}
    plain = {name for name in units if name.endswith(".service")} - hardened
    assert plain == {"drystone-mount@.service"}
    # A mount namespace of its own would hide the mount from everybody else.
    assert "Protect" not in units["drystone-mount@.service"].replace("(ProtectSystem", "")
    assert not any(
        "hardening" in name for name in services.render(store(started=False).config_path, user=True)
    )


@pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="no systemd-escape here")
@pytest.mark.parametrize("path", ["/srv/media", "/mnt/a b-c", "/", "/srv/.x/ü%$", "/a//b/"])
def test_a_mount_point_becomes_an_instance_as_systemd_does_it(path):
    done = subprocess.run(["systemd-escape", "--path", path], capture_output=True, text=True)
    assert services.mount_instance(path) == done.stdout.strip()


def test_paths_with_hostile_letters_stay_one_word():
    assert services.quoted('/a b/"c"/$HOME/%n\\') == '"/a b/\\"c\\"/$$HOME/%%n\\\\"'
    with pytest.raises(UsageError, match="line break"):
        services.quoted("/a\nExecStart=/bin/sh")


@pytest.mark.parametrize("name", ["1", "io", "1-io,cpu", "1-rm", "1-io\n", "1-io;x", "1-io.low"])
def test_a_worker_is_a_number_and_queues(name):
    with pytest.raises(UsageError, match="such as 1-io-cpu"):
        services.checked_workers([name])
    assert services.checked_workers(["4-cpu-gpu"]) == ("4-cpu-gpu",)
    assert services.checked_workers(["4-io.high-cpu"]) == ("4-io.high-cpu",)


def test_the_command_writes_units_and_starts_nothing(store, tmp_path):
    made = store(started=False)
    command = [sys.executable, "drystone.py", "service", "install", "--json"]
    command += ["--folder", str(tmp_path / "units"), "--config", made.config_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["written"]) == len(
        services.render(made.config_path, user=False)
    )


def test_a_dry_run_shows_the_units_as_they_would_be_written(store):
    made = store(started=False)
    command = [sys.executable, "drystone.py", "service", "install", "--dry-run"]
    command += ["--config", made.config_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    units = services.render(made.config_path, user=False)
    for name, text in units.items():
        assert f"## {name}\n{text}" in done.stdout
