"""The shipped questions to people (AC5): their tables hold what people agree on."""

from __future__ import annotations

from typing import Any

import library_samples as samples
import pytest
from action_stage_world import make_world
from ingest_harness import House
from library_runs import shipped

from adapters.actions.contract.registry import declare_contract
from adapters.actions.labels.answer import check_answer
from adapters.actions.labels.publish import make_label_tasks, publish_labels
from adapters.actions.outputs.events import begin_event
from adapters.actions.stage.batch import make_batch

CLASS = {"class": "drawing"}
BOXES = {"boxes": [{"label": "face", "x": 1, "y": 2, "width": 30, "height": 40}]}


@pytest.mark.parametrize(
    ("name", "answer", "columns", "row"),
    [
        ("human_classification", CLASS, "label", ("drawing",)),
        ("human_boxes", BOXES, "label, x, y, width, height", ("face", 1.0, 2.0, 30.0, 40.0)),
    ],
)
def test_an_answer_becomes_a_row(house: House, name: str, answer: Any, columns: str, row: tuple):
    make_world(house, {"a.png": samples.encoded(samples.picture(1), "PNG")}, {})
    loaded, database = shipped(name), house.database
    declare_contract(database, loaded)
    batch = make_batch(database, None, contract=loaded)
    event = begin_event(database, loaded, batch, run_id=name, parameters={})
    assert make_label_tasks(database, loaded, event) == 1
    assert loaded.contract.label_task
    document = check_answer(loaded.contract.label_task, answer)
    (task,) = database.labels.tasks(event)
    database.labels.add_answer(task.task_id, "ann", document)
    report = publish_labels(database, loaded, event)
    assert (report.complete, report.results) == (1, 1)
    found = house.rows(f"SELECT {columns}, labeller, votes, agreement FROM result_{name}")
    assert found == [(*row, "ann", 1, 1.0)]
