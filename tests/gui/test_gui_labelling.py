"""Labelling without a browser: keys of classes, and who gets which task."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from adapters.actions import contract_named, declare_contract
from gui.access.roles import Visitor
from gui.pages.labelling.keys import TAKEN, keys_of
from gui.reading.labelling import AHEAD, Labelling
from sql import Database


def test_classes_get_digits_then_letters_and_no_key_twice():
    assert keys_of(["a", "b", "c"]) == ["1", "2", "3"]
    keys = keys_of([f"class {number}" for number in range(60)])
    given = [key for key in keys if key]
    assert keys[:9] == list("123456789") and keys[9] == "c"
    assert len(given) == len(set(given)) == 9 + 26 - len(TAKEN)
    assert not set(given) & TAKEN and keys[-1] == ""
    assert keys_of(["x"] * 9 + ["Zebra", "Été", "猫"])[9:] == ["e", "a", "b"]
    assert keys_of([]) == []


def test_who_labels_may_nothing_else():
    may = {role: Visitor(1, "lea", role).may for role in ("viewer", "labeller", "operator")}
    assert not may["labeller"]("viewer") and may["labeller"]("labeller")
    assert not may["labeller"]("operator") and not may["viewer"]("labeller")
    assert may["operator"]("viewer") and may["operator"]("labeller")


@pytest.fixture
def asked(database: Database):
    """A desk, and an event with ten tasks that want one answer each."""
    return _asked(database, 1)


def _asked(database: Database, wanted: int) -> SimpleNamespace:
    from sql import PhysicalNode, WriteIntent

    nodes = tuple(
        PhysicalNode(key=f"{number:064x}", size_bytes=1, extension="jpg") for number in range(10)
    )
    database.apply_intent(WriteIntent(version=1, intent_id="nodes", physical_nodes=nodes))
    loaded = contract_named(None, "human_classification")
    declare_contract(database, loaded)
    found = database.explore.page(_everything(), limit=20)
    batch = database.action_context.make_sealed_batch([node.node_id for node in found])
    event = database.actions.begin_event(
        loaded.contract.action_id, batch, run_reference="run:1", version=loaded.contract.version,
        contract_digest=loaded.digest, parameters={},
    )  # fmt: skip
    database.labels.make_tasks(event, wanted)

    def refuse():
        raise AssertionError("nothing is started here")

    return SimpleNamespace(desk=Labelling(lambda: database, refuse), event=event, book=database)


def _everything():
    from sql import parse_selector

    return parse_selector("{version: 1, where: {media_type: image}}")


def ids(tasks) -> list[int]:
    return [task.task_id for task in tasks]


def test_two_people_have_different_tasks_in_hand(asked):
    lea = ids(asked.desk.tasks(asked.event, "lea"))
    lou = ids(asked.desk.tasks(asked.event, "lou"))
    assert len(lea) == len(lou) == AHEAD and not {*lea} & {*lou}
    # A page that is opened anew gets what it had.
    assert ids(asked.desk.tasks(asked.event, "lea")) == lea
    # Who has some already gets others beside them, those after the last one first.
    more = ids(asked.desk.tasks(asked.event, "lea", after=lea[0], held=lea[1:]))
    assert len(more) == 1 and more[0] not in lea[1:]


def test_what_others_have_in_hand_is_given_when_nothing_else_is_left(asked):
    book = asked.book.labels
    tasks = ids(book.tasks(asked.event))
    for task in tasks[:-2]:
        book.add_answer(task, "ann", {"class": "yes"})
    assert ids(asked.desk.tasks(asked.event, "lea")) == tasks[-2:]
    assert ids(asked.desk.tasks(asked.event, "lou")) == tasks[-2:]
    for task in tasks[-2:]:
        book.add_answer(task, "lea", None)
    assert asked.desk.tasks(asked.event, "lea") == []


def test_a_task_for_two_is_given_to_two(database: Database):
    asked = _asked(database, 2)
    lea, lou, ann = (ids(asked.desk.tasks(asked.event, name)) for name in ("lea", "lou", "ann"))
    assert lea == lou and not {*lea} & {*ann}


def test_what_was_taken_back_is_shown_as_it_was(asked):
    book = asked.book.labels
    first, second, *_ = ids(book.tasks(asked.event))
    for task, name in ((first, "cat"), (second, "dog"), (first, "cow")):
        book.add_answer(task, "lea", {"class": name})
    book.add_answer(second, "lou", {"class": "cat"})
    taken = [asked.desk.undo(asked.event, "lea") for _ in range(4)]
    assert taken[3] is None
    said = [(one.task.task_id, one.document) for one in taken[:3]]
    assert said == [
        (first, {"class": "cow"}), (second, {"class": "dog"}), (first, {"class": "cat"})
    ]  # fmt: skip
    assert [one.labeller for one in book.current(asked.event)] == ["lou"]
