"""`drystone db rebuild-tree` on a real store's embedded database."""

from __future__ import annotations

import json
import os

import pytest
from command import drystone
from server_fixture import EmbeddedStore

from sql import Database
from sql.intent.intent import Edge, Relationship, VirtualNode, WriteIntent, key_of


@pytest.fixture
def embedded(short_tmp):
    made = EmbeddedStore(os.path.join(short_tmp, "store"))
    yield made
    made.end()


def test_rebuild_tree(embedded):
    intent = WriteIntent(
        intent_id="one",
        virtual_nodes=(VirtualNode(description="a"), VirtualNode(description="b")),
        relationships=(Relationship(description="contains", forms_tree=True),),
        edges=(Edge(parent=key_of("a"), child=key_of("b"), relationship="contains"),),
    )
    command = ("db", "rebuild-tree", "--config", embedded.config_path)
    with Database.open(embedded.config_path) as database:
        database.apply_intent(intent)
        assert b"2 nodes, 1 tree edges, 0 wrong" in drystone(*command, "--dry-run").stdout
        with database.connection() as connection:
            connection.execute("UPDATE node SET depth = 5 WHERE depth = 1")
        wrong = drystone(*command, "--dry-run", expect=3).stdout
        assert b"1 wrong" in wrong and b"(1, 1, 5) instead of (1, 1, 1)" in wrong
        assert json.loads(drystone(*command, "--json").stdout)["wrong_count"] == 1
        assert database.check_derived().wrong_count == 0
