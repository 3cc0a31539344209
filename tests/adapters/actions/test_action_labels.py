"""Human labels: what files say, how far people agree, and what of it becomes a result."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hand_off_harness import Bench, make_inputs, running_store
from ingest_harness import House
from store_harness import Store, write_files

from adapters.actions.contract.check import LoadedContract, loaded_contract
from adapters.actions.contract.contract import ActionContract, LabelTask
from adapters.actions.contract.registry import declare_contract
from adapters.actions.labels.agreement import (
    agreement_of_boxes,
    agreement_of_classes,
    iou,
    majority_boxes,
    majority_class,
)
from adapters.actions.labels.answer import Box, check_answer
from adapters.actions.labels.export import export_tasks, label_config
from adapters.actions.labels.importing import import_labels
from adapters.actions.labels.publish import label_report, make_label_tasks, publish_labels
from adapters.actions.outputs.events import begin_event
from adapters.records.errors import RecordError
from base.errors import UsageError
from sql import Database

# ---- Agreement -------------------------------------------------------------------------------


def test_cohens_kappa_as_in_a_textbook():
    """20 times both yes, 15 times both no, 5 and 10 apart: po 0.7, pe 0.5, kappa 0.4."""
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = agreement_of_classes({"a": a, "b": b} for a, b in pairs)
    assert (found.tasks, found.percent) == (50, 70.0)
    assert found.cohen_kappa == pytest.approx(0.4)


def test_fleiss_kappa_as_in_his_paper():
    """Ten subjects, fourteen raters, five categories: kappa 0.210."""
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    tasks = [
        dict(enumerate(name for name, k in zip("abcde", row, strict=True) for _ in range(k)))
        for row in table
    ]
    found = agreement_of_classes({str(n): name for n, name in task.items()} for task in tasks)
    assert found.fleiss_kappa == pytest.approx(0.2099, abs=1e-4)
    assert found.cohen_kappa is None


def test_where_there_is_nothing_to_say():
    assert agreement_of_classes([{"a": "x"}, {}]).percent is None
    # All say the same: chance explains it as well.
    assert agreement_of_classes([{"a": "x", "b": "x"}]).cohen_kappa is None
    assert agreement_of_boxes([{"a": []}]).percent is None


def test_boxes_that_overlap_mean_the_same():
    one, shifted = Box("face", 0, 0, 10, 10), Box("face", 2, 0, 10, 10)
    assert iou(one, shifted) == pytest.approx(8 / 12)
    assert iou(one, Box("face", 20, 0, 10, 10)) == 0
    assert agreement_of_boxes([{"a": [one], "b": [shifted]}]).percent == 100
    assert agreement_of_boxes([{"a": [one], "b": [Box("person", 0, 0, 10, 10)]}]).percent == 0
    assert agreement_of_boxes([{"a": [], "b": []}]).percent == 100


def test_majorities():
    voted = majority_class({"a": "x", "b": "y", "c": "x"})
    assert voted is not None and (voted.value, voted.labellers) == ("x", ("a", "c"))
    assert majority_class({"a": "x", "b": "y"}) is None
    assert majority_class({}) is None
    one, shifted, far = (Box("face", x, 0, 10, 10) for x in (0, 2, 50))
    (found,) = majority_boxes({"a": [one, far], "b": [shifted], "c": []})
    assert found.value == Box("face", 1, 0, 10, 10)
    assert (found.labellers, found.share) == (("a", "b"), pytest.approx(2 / 3))


CLASSES = LabelTask(kind="classification", classes=("cat", "dog"))
BOXES = LabelTask(kind="boxes", classes=("cat",))


@pytest.mark.parametrize(
    ("task", "document"),
    [
        (CLASSES, {"class": "cow"}),
        (CLASSES, {"class": ["cat"]}),
        (CLASSES, {"class": "cat", "sure": True}),
        (CLASSES, {}),
        (CLASSES, "cat"),
        (BOXES, {"class": "cat"}),
        (BOXES, {"boxes": [{"label": "cat", "x": 0, "y": 0, "width": 0, "height": 5}]}),
        (BOXES, {"boxes": [{"label": "cat", "x": "0", "y": 0, "width": 1, "height": 5}]}),
        (BOXES, {"boxes": [{"label": "cat", "x": float("nan"), "y": 0, "width": 1, "height": 5}]}),
        (BOXES, {"boxes": [{"label": "dog", "x": 0, "y": 0, "width": 1, "height": 5}]}),
        (BOXES, {"boxes": [7]}),
    ],
)
def test_answers_that_fit_no_question(task: LabelTask, document: Any):
    with pytest.raises(RecordError):
        check_answer(task, document)


def test_equal_answers_have_one_form():
    boxes = [{"label": "cat", "x": x, "y": 0, "width": 1.00001, "height": 5} for x in (3, 1, 3)]
    found = check_answer(BOXES, {"boxes": boxes})["boxes"]
    assert [(box["x"], box["width"]) for box in found] == [(1.0, 1.0), (3.0, 1.0)]


# ---- A house with people ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_store() -> Iterator[Store]:
    with running_store() as store:
        yield store


@pytest.fixture
def house(shared_store: Store, database: Database) -> House:
    return House(shared_store, database)


def loaded(kind: str = "classification", labellers: int = 2) -> LoadedContract:
    columns = {
        "label": "text",
        "labeller": "text",
        "votes": "integer",
        "agreement": "double precision",
    }
    if kind == "boxes":
        columns |= dict.fromkeys(("x", "y", "width", "height"), "double precision")
    contract = ActionContract.model_validate(
        {
            "action_id": 900, "name": "look", "type": "AC5", "version": 1, "description": "Look",
            "label_task": {"kind": kind, "classes": ["cat", "dog"], "labellers": labellers},
            "result_schema": {
                name: {"type": column, "description": name} for name, column in columns.items()
            },
        }
    )  # fmt: skip
    return loaded_contract(contract, os.path.abspath("contract.yaml"))


def people(house: House, folder: str, contract: LoadedContract) -> Bench:
    """Return a bench whose tasks are made."""
    bench = Bench(house, contract, folder, parameters={})
    bench.inputs = make_inputs(house, os.path.join(folder, "scrape"), 4)
    batch = house.database.action_context.make_sealed_batch(item.node_id for item in bench.inputs)
    declare_contract(house.database, contract)
    bench.event = begin_event(house.database, contract, batch, run_id=1, parameters={})
    assert make_label_tasks(house.database, contract, bench.event) == 4
    return bench


def bring(bench: Bench, form: str, files: dict[str, bytes], **more: Any):
    folder = write_files(os.path.join(bench.folder, f"labels-{form}-{len(files)}"), files)
    arguments = (bench.client, bench.house.database, bench.loaded, bench.event, folder, form)
    return import_labels(*arguments, **more)


def rows(bench: Bench, columns: str) -> list[tuple]:
    return bench.house.rows(f"SELECT node_id, {columns} FROM result_look ORDER BY id")


def now(bench: Bench) -> dict[tuple[int, str], Any]:
    return {
        (answer.node_id, answer.labeller): answer.document and answer.document.get("class")
        for answer in bench.house.database.labels.current(bench.event)
    }


def test_labels_from_everywhere_become_results(house: House, tmp_path):
    bench = people(house, str(tmp_path), loaded())
    database, (first, second, third, fourth) = house.database, bench.inputs
    ids = [item.node_id for item in bench.inputs]
    # CSV, with a class that is none, an input that is none, and a labeller that is missing.
    table = f"key,label,labeller\n{first.key},cat,ann\n{second.key},dog,ann\n{third.key},cow,ann\n"
    table += f"{'0' * 64},cat,ann\n{fourth.key},cat,\n"
    report = bring(bench, "csv", {"all.csv": table.encode()})
    assert (report.answers_new, report.refused, report.attachments) == (2, 3, 1)
    # A folder per class, by files that are named after their nodes.
    report = bring(
        bench,
        "folder",
        {f"cat/{ids[0]}.png": b"x", f"cat/{second.key}.png": b"x", "loose.png": b"x"},
        labeller="bob",
    )
    assert (report.answers_new, report.refused) == (2, 1)
    assert now(bench) == {
        (ids[0], "ann"): "cat", (ids[0], "bob"): "cat", (ids[1], "ann"): "dog",
        (ids[1], "bob"): "cat",
    }  # fmt: skip
    found = publish_labels(database, bench.loaded, bench.event)
    assert (found.tasks, found.complete, found.disputed, found.results) == (4, 2, 1, 1)
    assert found.agreement.percent == 50
    assert rows(bench, "label, labeller, votes") == [(ids[0], "cat", "ann, bob", 2)]
    assert bench.outcomes() == {
        ids[0]: "done", ids[1]: "done", ids[2]: "missing", ids[3]: "missing",
    }  # fmt: skip
    # Ann changes her mind about the second: a later answer supersedes, and the dispute ends.
    again = f"key,label,labeller\n{second.key},cat,ann\n{first.key},cat,ann\n".encode()
    assert bring(bench, "csv", {"more.csv": again, "z.csv": b"key,label\n"}).answers_new == 1
    assert bring(bench, "csv", {"more.csv": again, "z.csv": b"key,label\n"}).answers_new == 0
    publish_labels(database, bench.loaded, bench.event)
    assert rows(bench, "label, votes") == [(ids[0], "cat", 2), (ids[1], "cat", 2)]
    assert publish_labels(database, bench.loaded, bench.event).results == 2
    assert len(rows(bench, "label")) == 2
    # Bob takes his last word back, and the result goes with it.
    assert database.labels.undo(bench.event, "bob") is not None
    assert label_report(database, bench.loaded, bench.event).complete == 1
    publish_labels(database, bench.loaded, bench.event)
    assert rows(bench, "label") == [(ids[0], "cat")]
    former = "SELECT document::json ->> 'label' FROM superseded_result WHERE node_id = {}"
    assert house.rows(former.format(ids[1])) == [("cat",)]
    edges = house.rows(
        "SELECT parent_node_id, description, forms_tree FROM edge JOIN relationship USING "
        "(relationship_id) ORDER BY 1"
    )
    assert set(edges) == {(ids[n], "annotation", False) for n in (0, 1)}


def annotation(who: Any, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 5, "completed_by": who, "result": list(results), **more}


def rectangle(label: str, x: float, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": 10, "width": 25, "height": 50, "rotation": 0, "rectanglelabels": [label]}
    size = {"original_width": 200, "original_height": 100}
    return {"type": "rectanglelabels", "value": value, **size, **more}


def test_boxes_of_label_studio_and_coco(house: House, tmp_path):
    bench = people(house, str(tmp_path), loaded("boxes"))
    first, second, third, _ = bench.inputs
    tasks = [
        {
            "id": third.node_id,  # Label Studio's own number, which means nothing here.
            "data": {"image": "/data/upload/1/0a1b2c3d-x.png", "key": first.key},
            "annotations": [annotation({"email": "ann@example.org"}, rectangle("cat", 0))],
        },
        {
            "data": {"image": f"/data/local-files/?d=images/{second.node_id}.png"},
            "annotations": [
                annotation(7, was_cancelled=True),
                annotation(8, {**rectangle("cat", 1), "original_width": None}),
                annotation(9, rectangle("cow", 1)),
            ],
        },
        {"annotations": []},
    ]
    report = bring(bench, "label_studio", {"export.json": json.dumps(tasks).encode()})
    assert (report.answers_new, report.refused) == (2, 3)
    coco = {
        "images": [{"id": 1, "file_name": f"images/{first.node_id}.png"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 10, 50, 50]}],
    }
    assert (
        bring(bench, "coco", {"c.json": json.dumps(coco).encode()}, labeller="bob").answers_new == 1
    )
    coco["annotations"][0]["bbox"] = [4, 10, -50, 50]
    broken = bring(
        bench, "coco", {"c.json": json.dumps(coco).encode(), "d.json": b"{}"}, labeller="x"
    )
    assert (broken.answers, broken.refused) == (0, 2)
    found = publish_labels(house.database, bench.loaded, bench.event)
    assert (found.complete, found.results, found.skipped) == (1, 1, 1)
    assert found.agreement.percent == 100
    assert rows(bench, "label, x, y, width, height, labeller, votes, agreement") == [
        (first.node_id, "cat", 2.0, 10.0, 50.0, 50.0, "ann@example.org, bob", 2, 1.0)
    ]


def test_tasks_come_as_files_and_go_back(house: House, tmp_path):
    bench = people(house, str(tmp_path), loaded(labellers=1))
    database = house.database

    def path_of(node_id: int, _key: str) -> str:
        return f"images/{node_id}.png"

    tasks = json.loads(export_tasks(database, bench.event, "label_studio", path_of))
    assert [task["data"] for task in tasks] == [
        {"image": f"images/{item.node_id}.png", "key": item.key} for item in bench.inputs
    ]
    table = list(csv.DictReader(io.StringIO(export_tasks(database, bench.event, "csv", path_of))))
    for row, name in zip(table, ("cat", "dog", "", "cat"), strict=True):
        row["label"] = name
    text = io.StringIO()
    writer = csv.DictWriter(text, table[0])
    writer.writeheader()
    writer.writerows(table)
    # An empty label is not answered yet.
    report = bring(bench, "csv", {"a.csv": text.getvalue().encode()}, labeller="ann")
    assert report.answers_new == 3
    assert list(now(bench).values()) == ["cat", "dog", "cat"]
    rest = json.loads(export_tasks(database, bench.event, "label_studio", path_of, labeller="bob"))
    assert [task["data"]["key"] for task in rest] == [bench.inputs[2].key]
    with pytest.raises(UsageError, match="no format of tasks"):
        export_tasks(database, bench.event, "xml", path_of)
    with pytest.raises(UsageError, match="no format of labels"):
        bring(bench, "xml", {"a": b""})
    with pytest.raises(UsageError, match="no file"):
        bring(bench, "csv", {"a.csv": b""}, paths=["../a.csv"])


def test_the_interface_of_label_studio():
    question = LabelTask(kind="boxes", classes=('"<cat>"', "dog"), question="Where & what?")
    view = ElementTree.fromstring(label_config(question))
    assert [label.get("value") for label in view.iter("Label")] == ['"<cat>"', "dog"]
    choices = ElementTree.fromstring(label_config(CLASSES))
    assert [choice.get("value") for choice in choices.iter("Choice")] == ["cat", "dog"]
