"""drystone.toml is read in one way: every reader tells the same mistake in the same words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.actions.contract.config import load_actions_config
from adapters.ingest.config import load_ingest_config
from base.config import find_config, read_config
from base.errors import ConfigError
from fsd.disks.config import load_config
from fsd.disks.config_disks import write_disk
from gui.core.config import load_gui_config
from jobs.core.alert_config import load_alerts_config
from jobs.core.config import load_jobs_config
from jobs.runners.settings import load_runner_settings
from sql import load_config as load_database_config

READERS: dict[str, Callable[[str], Any]] = {
    "ssd": load_config,
    "database": load_database_config,
    "jobs": load_jobs_config,
    "jobs.alerts": load_alerts_config,
    "jobs.runners": load_runner_settings,
    "gui": load_gui_config,
    "ingest": load_ingest_config,
    "actions": load_actions_config,
}
WHOLE = 'ssd = "ssd"\nmount = "mount"\n[store]\nstore_id = "0f"\n'


def written(folder: Path, text: str | bytes) -> str:
    path = folder / "drystone.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"ssd = \n", "is not valid TOML: Invalid value"),
        (b"ssd = '\xff'\n", "is not valid TOML: 'utf-8' codec"),
        (b"a = " + b"[" * 100_000, "is not valid TOML: "),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_toml_is_told_once_and_the_same(tmp_path: Path, content, said: str):
    path = str(tmp_path / "drystone.toml") if content is None else written(tmp_path, content)
    told: set[str] = set()
    for reader in READERS.values():
        with pytest.raises(ConfigError) as caught:
            reader(path)
        told.add(str(caught.value))
    assert len(told) == 1
    assert told.pop().startswith(f"{path} {said}")


@pytest.mark.parametrize("name", ["database", "jobs", "jobs.alerts", "jobs.runners", "gui"])
def test_a_wrong_field_is_named_with_its_section_and_not_shown(tmp_path: Path, name: str):
    path = written(tmp_path, f"{WHOLE}[{name}]\nheslo = 'hunter2'\n")
    with pytest.raises(ConfigError, match=rf"{name}\.heslo: Extra inputs") as caught:
        READERS[name](path)
    assert "hunter2" not in str(caught.value) and "hunter2" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("name", ["database", "jobs", "jobs.alerts", "gui", "ingest", "actions"])
def test_a_section_that_is_none(tmp_path: Path, name: str):
    outer, _, inner = name.partition(".")
    line = f"[{outer}]\n{inner} = 3" if inner else f"{outer} = 3"
    text = WHOLE + line if inner else f"{line}\n{WHOLE}"
    with pytest.raises(ConfigError, match=rf"{name} has to be a section: \[{name}\]"):
        READERS[name](written(tmp_path, text))


@pytest.mark.parametrize("reader", [load_gui_config, load_database_config])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[store]\nstore_id = 'a'", "ssd is missing"),
        ("ssd = 'ssd'", r"\[store\] store_id is missing"),
        ("ssd = 3\n[store]\nstore_id = 'a'", "ssd is missing, or no text"),
    ],
)
def test_what_every_store_has(tmp_path: Path, reader, text: str, said: str):
    with pytest.raises(ConfigError, match=said):
        reader(written(tmp_path, text))


def test_what_is_not_for_a_person_to_set(tmp_path: Path):
    path = written(tmp_path, f"{WHOLE}[gui]\nconfig_path = '/etc'\n")
    with pytest.raises(ConfigError, match=r"gui\.config_path: this cannot be set"):
        load_gui_config(path)


def test_disks_are_tables(tmp_path: Path):
    for text in ("disk = 3\n" + WHOLE, f"{WHOLE}[[disk]]\nname = 'd1'\n"):
        with pytest.raises(ConfigError, match=r"\[\[disk\]\]"):
            load_database_config(written(tmp_path, text))


def test_paths_count_from_the_file(tmp_path: Path):
    file = read_config(written(tmp_path, f"{WHOLE}[[disk]]\npath = 'disks/a'\n"))
    assert file.ssd == str(tmp_path / "ssd") and file.disk_paths == (str(tmp_path / "disks/a"),)
    assert file.absolute("~/x") == os.path.expanduser("~/x")


def test_one_that_cannot_be_edited_is_left(tmp_path: Path):
    from fsd.disks.config import DiskConfig

    path = written(tmp_path, "ssd = \n")
    with pytest.raises(ConfigError, match=r"TOML: .*so nothing was changed; repair that first"):
        write_disk(path, DiskConfig(disk_id="a", name="d", path="/d"))
    assert Path(path).read_text() == "ssd = \n"


def test_it_is_found_here_above_and_by_its_folder(tmp_path: Path, monkeypatch):
    path = written(tmp_path, WHOLE)
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert find_config(None) == find_config(str(tmp_path)) == find_config("../..") == path
    with pytest.raises(ConfigError, match="a/none does not exist"):
        find_config("a/none")
    monkeypatch.chdir("/")
    with pytest.raises(ConfigError, match=r"no drystone\.toml here or above"):
        find_config(None)
