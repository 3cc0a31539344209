"""Adapters of other people: found by their entry point, refused clearly when they are broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT

from adapters.sources.registry import (
    MODULES,
    RETIRED,
    adapter_named,
    adapter_names,
    adapter_of_stored,
)
from base.errors import UsageError

MODULE = """
from adapters import Observation, Record, Sniff
from sql import Column, DeclaredTable

class Mine:
    name = "mine"
    tables = (DeclaredTable(kind="source", name="mine", version=1, comment="Mine",
        columns=(Column(name="stars", type="bigint", comment="Stars"),)),)
    def sniff(self, folder):
        return Sniff(0.9 if folder.with_suffix(".mine") else 0.0, "files end in .mine")
    def read(self, folder):
        for path in folder.with_suffix(".mine"):
            post = "mine:post:" + folder.read_text(path).strip()
            yield Record(path, -1, post, (Observation(post, "mine", False, meta={"stars": 5}),))

ADAPTER = Mine()
"""


def install(folder: Path, value: str, name: str = "mine") -> None:
    (folder / "mine_package.py").write_text(MODULE)
    info = folder / "mine_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[drystone.adapters]\n{name} = {value}\n")


def drystone_with(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, f"{ROOT}/drystone.py", *arguments],
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder)},
        timeout=60,
    )


def test_an_adapter_of_ones_own_is_listed_and_read(tmp_path: Path):
    package, scrape = tmp_path / "package", tmp_path / "scrape"
    package.mkdir()
    scrape.mkdir()
    install(package, "mine_package:ADAPTER")
    (scrape / "one.mine").write_text("1")
    assert b"mine" in drystone_with(package, "source", "list").stdout
    sniffed = drystone_with(package, "source", "sniff", str(scrape))
    assert sniffed.stdout.splitlines()[1].startswith(b"mine")
    result = drystone_with(package, "ingest", str(scrape), "--batch", "b", "--dry-run")
    assert b"nodes of mine:post" in result.stdout, result.stderr


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        ("mine_package:ABSENT", "mine", b"cannot be loaded"),
        ("no_such_module:ADAPTER", "mine", b"cannot be loaded"),
        ("mine_package:ADAPTER", "gallery-dl", b"two adapters are called gallery-dl"),
    ],
)
def test_a_broken_package_is_one_clear_line(tmp_path: Path, value: str, name: str, said: bytes):
    install(tmp_path, value, name)
    result = drystone_with(tmp_path, "source", "list")
    assert result.returncode == 2
    assert said in result.stderr and b"Traceback" not in result.stderr


def test_every_name_is_its_adapters_own():
    assert adapter_names()[: len(MODULES)] == list(MODULES)
    for name in MODULES:
        assert adapter_named(name).name == name
    with pytest.raises(UsageError, match="there is no adapter 'nope'"):
        adapter_named("nope")


def test_batches_of_what_is_read_no_more_are_restored_as_files():
    for name in RETIRED:
        assert adapter_of_stored(name).name == "plain-folder"
        with pytest.raises(UsageError, match="there is no adapter"):
            adapter_named(name)
    assert adapter_of_stored("yolo").name == "yolo"
