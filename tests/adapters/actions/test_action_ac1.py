"""AC1: tags for a whole batch, and groups of near hashes that hold their members together."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

from adapters.actions.contract.check import LoadedContract, loaded_contract
from adapters.actions.contract.contract import ActionContract
from adapters.actions.contract.registry import declare_contract, registered_contract
from adapters.actions.outputs.events import begin_event, end_event
from adapters.actions.run.ac1 import run_ac1
from adapters.actions.run.grouping import near_groups, parse_hashes
from adapters.actions.run.tagging import explain_tagging
from base.errors import UsageError
from sql import (
    Column,
    Database,
    DeclaredTable,
    PhysicalNode,
    ResultRow,
    Selector,
    VirtualNode,
    WriteIntent,
    key_of,
)


def loaded(**document: object) -> LoadedContract:
    base = {"action_id": 800, "name": "mark", "type": "AC1", "version": 1, "description": "Marks"}
    checked = ActionContract.model_validate({**base, **document})
    return loaded_contract(checked, os.path.abspath("contract.yaml"))


TAGGING = {
    "tagging": {"values": {"tag": "large", "level": 3}},
    "result_schema": {
        "tag": {"type": "text", "description": "The tag"},
        "level": {"type": "integer", "description": "How much"},
    },
}
GROUPING = {
    "grouping": {"action": "hash", "column": "bits", "distance_max": 3},
    "result_schema": {
        "group_key": {"type": "text", "description": "The group"},
        "members": {"type": "integer", "description": "How many"},
    },
}


@pytest.fixture
def nodes(database: Database) -> list[int]:
    """The ids of eight nodes."""
    made = tuple(VirtualNode(description=f"n{number}") for number in range(8))
    database.apply_intent(WriteIntent(intent_id="nodes", virtual_nodes=made))
    ids = {row.key: row.node_id for row in database.query_nodes(Selector(version=1))}
    return [ids[key_of(f"n{number}")] for number in range(8)]


def begin(database: Database, contract: LoadedContract, nodes: list[int], run: int) -> int:
    declare_contract(database, contract)
    batch = database.action_context.make_sealed_batch(nodes)
    return begin_event(database, contract, batch, run_id=run, parameters={})


def rows(database: Database, query: str) -> list[tuple]:
    with database.connection() as connection:
        return connection.execute(query).fetchall()


def test_tagging_is_done_once(database: Database, nodes: list[int]):
    contract = loaded(**TAGGING)
    event = begin(database, contract, nodes[:5], 1)
    report = run_ac1(database, contract, event)
    assert (report.state, report.done, report.results) == ("done", 5, 5)
    again = run_ac1(database, contract, event)
    assert again.repeated and again.done == 5
    assert end_event(database, event) == "done"
    # Another batch tags only what is new in it.
    other = begin(database, contract, nodes[3:], 2)
    assert run_ac1(database, contract, other).results == 3
    assert end_event(database, other) == "done"
    found = rows(database, "SELECT node_id, tag, level FROM result_mark ORDER BY 1")
    assert found == [(node, "large", 3) for node in nodes]
    third = begin(database, contract, nodes[:2], 3)
    report = run_ac1(database, contract, third)
    assert (report.state, report.results) == ("done", 0)


def test_a_new_version_of_a_tag_supersedes(database: Database, nodes: list[int]):
    contract = loaded(**TAGGING)
    run_ac1(database, contract, begin(database, contract, nodes[:2], 1))
    later = loaded(**{**TAGGING, "tagging": {"values": {"tag": "huge", "level": 4}}}, version=2)
    report = run_ac1(database, later, begin(database, later, nodes[:1], 2))
    assert (report.results, report.superseded) == (1, 1)
    found = rows(database, "SELECT node_id, tag FROM result_mark ORDER BY 1")
    assert found == [(nodes[0], "huge"), (nodes[1], "large")]


HOSTILE = "'; DROP TABLE node; --%(p1)s"
COMPUTED = {
    "tagging": {
        "values": {"level": 1},
        "computed": {
            "tag": {
                "cases": [
                    {"where": {"size_bytes": {"min": 1000}}, "then": "large"},
                    {"where": {"extension": ["txt"]}, "then": HOSTILE},
                    {"where": {"not": {"description": {"prefix": "n"}}}, "then": "bytes"},
                ],
                "otherwise": "thought",
            },
            "known": {"cases": [{"where": {"description": {"equals": ["n1"]}}, "then": True}]},
        },
    },
    "result_schema": {
        **TAGGING["result_schema"],
        "known": {"type": "boolean", "description": "Whether it is the first"},
    },
}


def test_computed_columns_are_those_of_each_node(database: Database, nodes: list[int]):
    files = (("a", 2000, "png"), ("b", 10, "txt"), ("c", 10, "png"))
    keys = {name: key_of(name) for name, _, _ in files}
    physical = tuple(
        PhysicalNode(key=keys[name], size_bytes=size, extension=extension)
        for name, size, extension in files
    )
    database.apply_intent(WriteIntent(intent_id="files", physical_nodes=physical))
    ids = {row.key: row.node_id for row in database.query_nodes(Selector(version=1))}
    wanted = {
        ids[keys["a"]]: ("large", 1, None),
        ids[keys["b"]]: (HOSTILE, 1, None),
        ids[keys["c"]]: ("bytes", 1, None),
        nodes[0]: ("thought", 1, None),
        nodes[1]: ("thought", 1, True),
    }
    contract = loaded(**COMPUTED)
    event = begin(database, contract, list(wanted), 1)
    # As it was registered, which is how a run knows it that goes on after a restart.
    contract = registered_contract(database, contract.digest)
    explained = explain_tagging(database, contract)
    assert "CASE WHEN" in explained.statement and "DROP TABLE" not in explained.statement
    assert HOSTILE in explained.parameters.values()
    report = run_ac1(database, contract, event)
    assert (report.state, report.results) == ("done", 5)
    assert run_ac1(database, contract, event).repeated
    found = rows(database, "SELECT node_id, tag, level, known FROM result_mark")
    assert {node_id: tuple(values) for node_id, *values in found} == wanted


def test_conditions_that_the_database_does_not_know_tag_nothing(
    database: Database, nodes: list[int]
):
    cases = [{"where": {"metadata": {"source": ["nowhere"]}}, "then": "x"}]
    tagging = {"values": {"level": 1}, "computed": {"tag": {"cases": cases}}}
    contract = loaded(**{**TAGGING, "tagging": tagging})
    event = begin(database, contract, nodes, 1)
    place = r"tagging\.computed\.tag\.cases\[0\]\.where\.metadata.*nowhere"
    with pytest.raises(UsageError, match=place):
        explain_tagging(database, contract)
    with pytest.raises(UsageError, match=place):
        run_ac1(database, contract, event)
    assert rows(database, "SELECT count(*) FROM result_mark") == [(0,)]


def write_hashes(database: Database, nodes: list[int], hashes: dict[int, str | None]) -> None:
    """Write what another action found: `hashes` by place in `nodes`."""
    database.actions.declare_action(801, "hash", "AC2")
    column = Column(name="bits", type="text", comment="The hash")
    database.declare(
        DeclaredTable(kind="action", name="hash", version=1, comment="Hashes", columns=(column,))
    )
    batch = database.action_context.make_sealed_batch(nodes)
    event = database.actions.record_action_history(801, batch, "running")
    results = tuple(
        ResultRow(action="hash", key=key_of(f"n{n}"), action_event_id=event, values={"bits": text})
        for n, text in hashes.items()
    )
    database.apply_intent(WriteIntent(intent_id="hashes", results=results))


def test_near_hashes_become_groups(database: Database, nodes: list[int]):
    near = {0: "00000000000000ff", 1: "00000000000000fe", 2: "000000000000001e"}
    far = {3: "ffffffff00000000", 4: "ffffffff00000001", 5: "0f0f0f0f0f0f0f0f", 6: "no hash"}
    write_hashes(database, nodes, {**near, **far})
    contract = loaded(**GROUPING)
    event = begin(database, contract, nodes, 1)
    report = run_ac1(database, contract, event)
    # 0 and 2 are farther apart than 3 bits, and held together by 1.
    assert (report.state, report.done, report.missing) == ("partial", 6, 2)
    assert (report.children, report.results, report.edges_new) == (2, 5, 5)
    components = rows(database, "SELECT node_id, component_id FROM node ORDER BY 1")
    component = dict(components)
    assert component[nodes[0]] == component[nodes[1]] == component[nodes[2]]
    assert component[nodes[3]] == component[nodes[4]] != component[nodes[0]]
    assert component[nodes[5]] == nodes[5]
    sizes = rows(database, "SELECT node_id, members FROM result_mark ORDER BY 1")
    assert sizes == [(nodes[n], count) for n, count in enumerate((3, 3, 3, 2, 2))]
    assert database.check_derived().wrong_count == 0
    before = rows(database, "SELECT * FROM edge ORDER BY 1")
    assert run_ac1(database, contract, event).repeated
    assert rows(database, "SELECT * FROM edge ORDER BY 1") == before
    # Another batch with some of them finds the same groups.
    other = begin(database, contract, nodes[:4], 2)
    assert run_ac1(database, contract, other).nodes_new == 0


def test_an_action_of_another_kind_is_refused(database: Database, nodes: list[int]):
    contract = loaded(**TAGGING)
    event = begin(database, contract, nodes, 1)
    with pytest.raises(UsageError, match="changed after run"):
        run_ac1(database, loaded(**GROUPING), event)


def groups_by_hand(hashes: list[int], distance_max: int) -> list[int]:
    """Return the least position of each one's group, by comparing all with all."""
    group = list(range(len(hashes)))
    for left in range(len(hashes)):
        for right in range(left):
            near = (hashes[left] ^ hashes[right]).bit_count() <= distance_max
            if near and group[left] != group[right]:
                least, other = sorted((group[left], group[right]))
                group = [least if member == other else member for member in group]
    return group


@pytest.mark.parametrize(
    ("distance_max", "run_length_max"),
    [(0, 8), (1, 2), (4, 2), (4, 8), (4, 2_048), (7, 32), (16, 64), (16, 2_048)],
)
def test_the_search_is_exact(
    distance_max: int, run_length_max: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("adapters.actions.run.grouping.RUN_LENGTH_MAX", run_length_max)
    chance = random.Random(distance_max)
    hashes = [chance.getrandbits(64) for _ in range(60)]
    # Some near others, some in a dense corner, some the same.
    for _ in range(80):
        value = chance.choice(hashes)
        for bit in chance.sample(range(64), chance.randrange(distance_max + 3)):
            value ^= 1 << bit
        hashes.append(value)
    hashes += [chance.getrandbits(6) for _ in range(20)] + hashes[:5]
    found = near_groups(np.array(hashes, np.uint64), distance_max)
    assert found.tolist() == groups_by_hand(hashes, distance_max)


def test_what_is_no_hash():
    assert parse_hashes(["00000000000000ff"]).tolist() == [255]
    assert near_groups(parse_hashes([]), 4).tolist() == []
    for text in ("ff", "00000000000000fg", "00000000000000ff00"):
        with pytest.raises(ValueError):
            parse_hashes([text])
