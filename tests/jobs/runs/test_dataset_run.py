"""UA_3 from the request to the sealed folder, through a real worker."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from action_house import ActionYard, lasting_yard

from base.errors import DrystoneError
from jobs import dry_run_request

DEFINITION = """
version: 1
name: drawings
selector: {version: 1, where: {extension: png}}
splits:
  fractions: {train: 0.5, test: 0.5}
  missing_class: allow
layout: flat
"""


@pytest.fixture(scope="module")
def yard(database_server: str, database_template: str) -> Iterator[ActionYard]:
    """A store with six pictures, a worker and a scheduler."""
    with lasting_yard(database_server, database_template) as made:
        yield made


def exported(yard: ActionYard) -> int:
    """Return how many pictures all exports hold."""
    area = yard.store.config.area_path("3d")
    return sum(name.endswith(".png") for _, _, names in os.walk(area) for name in names)


def test_a_definition_becomes_a_folder(yard):
    before = exported(yard)
    told = dry_run_request(yard.config_path, "ua_3", {"definition": DEFINITION})
    assert told["report"]["files"] == 6
    run, _ = yard.control.start("ua_3", {"definition": DEFINITION})
    yard.wait(run.run_id, "done")
    assert exported(yard) == before + 6
    (result,) = [one.result for one in yard.database.runs.results(run.run_id, "export")]
    assert os.path.exists(os.path.join(result["target_root"], "_SEALED"))
    # The same again: the same content is the same version, and its export is sealed already.
    again, created = yard.control.start("ua_3", {"definition": DEFINITION})
    assert created
    yard.wait(again.run_id, "done")
    versions = "SELECT count(*) FROM dataset_version JOIN dataset USING (dataset_id)"
    assert yard.rows(versions + " WHERE name = 'drawings'") == [(1,)]
    (result,) = [one.result for one in yard.database.runs.results(again.run_id, "export")]
    assert result["already_sealed"]


def test_a_file_is_read_when_it_is_asked_for(yard):
    path = os.path.join(yard.root, "dataset.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(DEFINITION.replace("drawings", "asked"))
    before = exported(yard)
    yard.database.runs.set_queue("io", paused=True)
    run, _ = yard.control.start("ua_3", {"file": path, "export": False})
    with open(path, "w", encoding="utf-8") as file:
        file.write("nonsense")
    yard.control.set_queue("io", paused=False)
    yard.wait(run.run_id, "done")
    assert exported(yard) == before
    named, _ = yard.control.start("ua_3", {"name": "asked"})
    yard.wait(named.run_id, "done")
    assert exported(yard) == before + 6


REFUSED = [
    ({}, "give one of"),
    ({"name": "x", "definition": DEFINITION}, "give one of"),
    ({"definition": DEFINITION + "colour: red"}, "colour"),
    ({"file": "/nowhere/dataset.yaml"}, "cannot be read"),
]


def test_requests_that_cannot_be(yard):
    runs = yard.rows("SELECT count(*) FROM run")
    for parameters, reason in REFUSED:
        with pytest.raises(DrystoneError, match=reason):
            yard.control.start("ua_3", parameters)
    assert yard.rows("SELECT count(*) FROM run") == runs
