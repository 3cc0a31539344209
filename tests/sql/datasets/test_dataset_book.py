"""What the database answers about datasets: completeness, groups, versions, exports, lineage."""

from __future__ import annotations

import numpy as np
import pytest
from selector_world import insert_world, make_world

from base.errors import UsageError
from sql import (
    Condition,
    Database,
    DatasetQuestion,
    NearDuplicates,
    NewVersion,
    Selector,
    ValueSource,
)
from sql.core.errors import BusyError, NotFoundError
from sql.selector.selector import PipelineState

KEY = "ab" * 32


def keys(database: Database, question: DatasetQuestion) -> set[str]:
    """The keys of the members when all groups are in one split."""
    with database.datasets.candidates("test", question) as found:
        group = np.unique(found.groups().group)
        found.assign(group, np.zeros(len(group), np.int64))
        return {row.key for row in found.rows()}


def selected(database: Database, **condition) -> set[str]:
    selector = Selector(version=1, where=Condition(is_physical=True, **condition))
    return {row.key for row in database.query_nodes(selector)}


@pytest.mark.parametrize("seed", range(3))
def test_complete_is_what_the_selectors_say(database: Database, seed: int):
    world = make_world(seed)
    insert_world(database, world)
    everything = Selector(version=1)
    assert keys(database, DatasetQuestion(everything, pipelines=())) == selected(database)
    for names in (("both",), ("one",), ("both", "one")):
        wanted = selected(
            database,
            all=tuple(Condition(pipeline=PipelineState(name=name)) for name in names),
        )
        assert keys(database, DatasetQuestion(everything, pipelines=names)) == wanted
    # By default: every pipeline that one of its batches is enrolled in, which is what 12c says.
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT encode(sha256, 'hex'), pipeline.name FROM pipeline_batch "
            "JOIN action_batch_node USING (action_batch_id) JOIN node USING (node_id) "
            "JOIN pipeline ON pipeline.id = pipeline_id"
        ).fetchall()
    complete = {
        name: selected(database, pipeline=PipelineState(name=name)) for name in ("both", "one")
    }
    out = {key for key, name in rows if key not in complete[name]}
    assert keys(database, DatasetQuestion(everything)) == selected(database) - out
    with pytest.raises(UsageError, match="there is no pipeline 'bot'; did you mean both"):
        keys(database, DatasetQuestion(everything, pipelines=("bot",)))


def test_near_duplicates_join_groups(database: Database):
    world = make_world(5)
    insert_world(database, world)
    near = NearDuplicates(action="ocr", column="position")
    selector = Selector(version=1, where=Condition(is_physical=True))
    with database.datasets.candidates("test", DatasetQuestion(selector, (), near=near)) as found:
        ids = np.unique(found.groups().group)
        found.assign(ids, np.arange(len(ids)) % 2)
        leakage = found.leakage()
        assert set(leakage) == {"component", "tree", "bytes", "near"}
        assert all(one == other for rows in leakage.values() for one, other, _ in rows)
    for wrong in (
        NearDuplicates(action="ocr", column="positon"),
        NearDuplicates(relationship="likeness"),
    ):
        with (
            pytest.raises(UsageError),
            database.datasets.candidates("test", DatasetQuestion(selector, (), near=wrong)),
        ):
            pass


def test_a_value_that_nobody_declared_is_a_clear_mistake(database: Database):
    insert_world(database, make_world(1))
    for wanted, said in [
        ({"source_metadata": {"source": "alpa", "column": "likes"}}, "did you mean alpha"),
        ({"source_metadata": {"source": "alpha", "column": "like"}}, "did you mean likes"),
        ({"result": {"action": "faces", "column": "x"}}, "known: ocr|did you mean"),
    ]:
        question = DatasetQuestion(
            Selector(version=1), (), values={"v": ValueSource.model_validate(wanted)}
        )
        with pytest.raises(UsageError, match=said), database.datasets.candidates("t", question):
            pass


def registered(database: Database, name: str, version: int, key: str = KEY) -> int:
    question = DatasetQuestion(Selector(version=1, where=Condition(is_physical=True)), ())
    new = NewVersion(
        name, version, "{}", "{}", "{}", 1, "flat", key, key, "[]", 1, 2, 3, 4, "{}"
    )  # fmt: skip
    with database.datasets.candidates(name, question) as found:
        group = np.unique(found.groups().group)
        found.assign(group, np.arange(len(group)) % 2)
        return found.register(new, ["train", "test"])


def test_a_selector_asks_for_what_is_in_a_dataset(database: Database):
    insert_world(database, make_world(2))
    first = registered(database, "one", 1)
    members = {member.node_id for member in database.datasets.members(first)}

    def found(*names: str) -> set[int]:
        where = Condition(dataset=names)
        return {row.node_id for row in database.query_nodes(Selector(version=1, where=where))}

    assert found("one@1") == found("one") == found("one@1", "one") == members != set()
    for name, words in (("one@2", "no dataset 'one@2'"), ("on", "did you mean one")):
        with pytest.raises(UsageError, match=words):
            found(name)


def test_versions_are_kept_once_and_exports_have_one_meaning(database: Database):
    insert_world(database, make_world(2))
    book = database.datasets
    number = registered(database, "one", 1)
    assert book.next_version("one") == 2 and book.next_version("other") == 1
    with pytest.raises(BusyError, match="build it again"):
        registered(database, "one", 1, "cd" * 32)
    with pytest.raises(BusyError, match="build it again"):
        registered(database, "one", 2)
    second = registered(database, "one", 2, "cd" * 32)
    assert [one.version for one in book.versions("one")] == [1, 2]
    assert book.version("one").dataset_version_id == second
    assert [one.version for one in book.versions(manifest_key=KEY)] == [1]
    assert list(book.difference(number, second)) == []
    assert book.retire(second) and not book.retire(second)
    assert book.version("one").version == 1 and book.version("one", 2).state == "retired"
    assert book.revive(second) and book.version("one").version == 2
    with pytest.raises(NotFoundError, match="there is no dataset nothing"):
        book.version("nothing")
    version = book.version("one", 1)
    book.begin_export("e", version, "flat", "copy")
    book.begin_export("e", version, "flat", "copy")
    for wrong in (("flat", "view"), ("coco", "copy")):
        with pytest.raises(UsageError, match="choose another id"):
            book.begin_export("e", version, *wrong)
    book.change_export("e", "sealed", target_root="/x", copying_s=1.5)
    (export,) = book.exports(version.dataset_version_id)
    assert (export.state, export.target_root, export.copying_s) == ("sealed", "/x", 1.5)
    assert export.seal_time is not None
    with pytest.raises(NotFoundError):
        book.change_export("nothing", "failed")


def test_one_build_of_a_name_at_a_time(database: Database):
    question = DatasetQuestion(Selector(version=1))
    with (
        database.datasets.candidates("one", question),
        database.datasets.candidates("two", question),
        pytest.raises(BusyError, match="being built by another"),
        database.datasets.candidates("one", question),
    ):
        pass
    with database.datasets.candidates("one", question):
        pass


def test_lineage_ends_on_cycles_of_edges(database: Database):
    world = make_world(3)
    insert_world(database, world)
    registered(database, "one", 1)
    with database.connection() as connection:
        parent, child, relationship = connection.execute(
            "SELECT parent_node_id, child_node_id, relationship_id FROM edge LIMIT 1"
        ).fetchone()
        connection.execute(
            "INSERT INTO edge (parent_node_id, child_node_id, relationship_id) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [child, parent, relationship],
        )
    above = database.datasets.ancestors(child)
    assert above[0].node_id == child and above[0].depth == 0
    assert len({one.node_id for one in above}) == len(above)
    members = {one.node_id for one in database.datasets.members(1)}
    for node_id in members:
        (own,) = database.datasets.memberships(node_id)
        assert (own.name, own.version) == ("one", 1) and own.split in ("train", "test")
    assert database.datasets.ancestors(10**9) == []
    with pytest.raises(NotFoundError):
        database.datasets.node_of(KEY)


def test_leakage_is_seen_where_there_is_some(database: Database):
    insert_world(database, make_world(4))
    question = DatasetQuestion(Selector(version=1, where=Condition(is_physical=True)), ())
    with database.datasets.candidates("test", question) as found:
        group = np.unique(found.groups().group)
        found.assign(group, np.zeros(len(group), np.int64))
        # As a mistake in a plan would: members of one component in two splits.
        found._connection.execute("UPDATE member SET split = node_id % 3")
        counted: dict[tuple[int, int], set[int]] = {}
        rows = found._connection.execute("SELECT component_id, split FROM member").fetchall()
        for component, split in rows:
            for same, another in rows:
                if same == component:
                    counted.setdefault((split, another), set()).add(component)
        wanted = [(one, two, len(which)) for (one, two), which in sorted(counted.items())]
        assert found.leakage()["component"] == wanted
        assert any(one != two for one, two, _ in wanted)
