"""UA_3 from the request to the sealed folder, through a real worker."""

from __future__ import annotations

import os
from collections.abc import Iterator

import database_harness
import pytest
from action_house import ActionYard, make_action_yard

from datasets import DatasetError
from jobs import UsageError, dry_run_request

DEFINITION = """
version: 1
name: drawings
selector: {version: 1, where: {extension: png}}
splits:
  fractions: {train: 0.5, test: 0.5}
  missing_class: allow
layout: flat
"""


@pytest.fixture
def yard(store, database_server: str, database_template: str) -> Iterator[ActionYard]:
    """A store with six pictures, a worker and a keeper."""
    with database_harness.new_database(database_server, database_template) as url:
        made = make_action_yard(store(), url)
        try:
            made.start_redis()
            made.start_keeper()
            made.start_worker()
            yield made
        finally:
            made.stop()
            made.database.close()


def exported(yard: ActionYard) -> list[str]:
    found = []
    for _, _, names in os.walk(yard.store.config.area_path("3d")):
        found += [name for name in names if name.endswith(".png")]
    return found


def test_a_definition_becomes_a_folder(yard):
    told = dry_run_request(yard.config_path, "ua_3", {"definition": DEFINITION})
    assert told["report"]["files"] == 6
    run, _ = yard.control.start("ua_3", {"definition": DEFINITION})
    yard.wait(run.run_id, "done")
    assert len(exported(yard)) == 6
    (result,) = [row[2] for row in yard.database.runs.results(run.run_id, "export")]
    assert os.path.exists(os.path.join(result["target_root"], "_SEALED"))
    # The same again: the same content is the same version, and its export is sealed already.
    again, created = yard.control.start("ua_3", {"definition": DEFINITION})
    assert created
    yard.wait(again.run_id, "done")
    assert yard.rows("SELECT count(*) FROM dataset_version") == [(1,)]
    (result,) = [row[2] for row in yard.database.runs.results(again.run_id, "export")]
    assert result["already_sealed"]


def test_a_file_is_read_when_it_is_asked_for(yard):
    path = os.path.join(yard.root, "dataset.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(DEFINITION)
    yard.database.runs.set_queue("io", paused=True)
    run, _ = yard.control.start("ua_3", {"file": path, "export": False})
    with open(path, "w", encoding="utf-8") as file:
        file.write("nonsense")
    yard.control.set_queue("io", paused=False)
    yard.wait(run.run_id, "done")
    assert exported(yard) == []
    named, _ = yard.control.start("ua_3", {"name": "drawings"})
    yard.wait(named.run_id, "done")
    assert len(exported(yard)) == 6


REFUSED = [
    ({}, "give one of"),
    ({"name": "x", "definition": DEFINITION}, "give one of"),
    ({"definition": DEFINITION + "colour: red"}, "colour"),
    ({"file": "/nowhere/dataset.yaml"}, "cannot be read"),
]


def test_requests_that_cannot_be(yard):
    for parameters, reason in REFUSED:  # One store for all of them.
        with pytest.raises((UsageError, DatasetError), match=reason):
            yard.control.start("ua_3", parameters)
    assert yard.rows("SELECT count(*) FROM run") == [(0,)]
