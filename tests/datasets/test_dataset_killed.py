"""Killed at every step and run again; and the layouts that make files of their own, end to end."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile

import pytest
from command import ROOT
from dataset_house import House, definition, pets
from store_checks import until

from datasets.freeze.building import build
from datasets.versions.exports import export
from datasets.versions.verification import verify

TURNS = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE locktype = 'advisory' AND datname = current_database()"
)
STEPS = (
    "asking the database",
    "splitting",
    "laying out",
    "sorting the manifest",
    "storing the manifest",
    "registering",
)


def killed(house: House, wanted: dict, step: str) -> None:
    path = os.path.join(house.store.root, "definition.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump(wanted, file)
    program = os.path.join(ROOT, "tests", "kit", "datasets", "dataset_killed.py")
    result = subprocess.run(
        [sys.executable, program, house.config_path, path, step],
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert result.returncode == -signal.SIGKILL, result.stderr.decode()
    # The server ends its session, and with it its turn, when it hears of that.
    until(lambda: house.rows(TURNS) == [(0,)], "the turn of the killed one to end")


def test_killed_at_every_step_and_run_again(house: House):
    house.add(pets())
    wanted = definition(layout="webdataset")
    for step in STEPS:
        killed(house, wanted, step)
        assert house.database.datasets.versions() == []
    built = build(house.config_path, wanted, database=house.database)
    assert (built.version, built.created, built.files) == (1, True, 21)
    assert house.rows("SELECT count(*) FROM dataset_member") == [(21,)]
    assert os.listdir(os.path.join(house.area("3d"), ".datasets")) == []
    killed(house, wanted, "export")
    result = export(house.config_path, "pets", database=house.database)
    assert verify(house.config_path, result.target_root).is_whole
    assert [one.state for one in house.database.datasets.exports()] == ["sealed"]


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_files_that_a_layout_makes_become_objects_and_are_the_same_again(house: House, layout: str):
    pictures = pets()
    house.add(pictures)
    built = build(house.config_path, definition(layout=layout), database=house.database)
    result = export(house.config_path, "pets", database=house.database)
    assert verify(house.config_path, result.target_root).is_whole
    again = build(house.config_path, definition(layout=layout), database=house.database)
    assert (again.created, again.manifest_key) == (False, built.manifest_key)
    if layout == "webdataset":
        keys = set()
        for root, _, names in os.walk(result.target_root):
            for name in names:
                if name.endswith(".tar"):
                    with tarfile.open(os.path.join(root, name)) as shard:
                        for member in shard:
                            if member.name.endswith(".png"):
                                data = shard.extractfile(member).read()
                                keys.add(hashlib.sha256(data).hexdigest())
        assert keys == {one.key for one in pictures}
        # The stage that its bytes came from is free again.
        stage = os.path.join(house.area("3c"), "dataset-pets")
        assert not os.path.exists(stage) or os.listdir(stage) == []
