"""Selectors: refusals, hostile values, limits, timeouts, and that nothing is changed."""

from __future__ import annotations

import pytest
from selector_meaning import expected
from selector_world import World, insert_world, make_world

from sql import Database
from sql.core.errors import QueryTimeoutError, SelectorError, StatementError
from sql.selector import select
from sql.selector.compile_selector import compile_selector
from sql.selector.document import parse_selector, read_selector
from sql.selector.select import NodeRow
from sql.selector.selector import Selector
from sql.selector.vocabulary import Vocabulary


@pytest.fixture
def world(database: Database) -> World:
    made = make_world(7)
    insert_world(database, made)
    return made


def problems(document: object) -> list[str]:
    with pytest.raises(SelectorError) as caught:
        if isinstance(document, str | bytes):
            parse_selector(document)
        else:
            read_selector(document)
    return caught.value.problems


def found(database: Database, where: object, **more: object) -> list[NodeRow]:
    return list(database.query_nodes(read_selector({"version": 1, "where": where, **more})))


def ids(rows: list[NodeRow]) -> set[int]:
    return {row.node_id for row in rows}


def test_yaml_and_json_are_the_same_document():
    yaml = """
        version: 1
        where:
          media_type: image
          size_bytes: {min: 100}
          metadata:
            source: twitter
            update_time: {since: 2024-03-01, before: 2024-04-01T00:00:00Z}
          not: {ancestor: {within: 2, where: {description: twitter:user:1}}}
        order: [{by: size_bytes, descending: true}]
        limit: 10
    """
    json = (
        '{"version": 1, "where": {"media_type": ["image"], "size_bytes": {"min": 100}, "metadata": '
        '{"source": ["twitter"], "update_time": {"since": "2024-03-01T01:00:00+01:00", "before": '
        '"2024-04-01"}}, "not": {"ancestor": {"within": 2, "where": {"description": {"equals": '
        '"twitter:user:1"}}}}}, "order": [{"by": "size_bytes", "descending": true}], "limit": 10}'
    )
    assert parse_selector(yaml) == parse_selector(json.encode())


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({}, ["version: is missing: write version: 1"]),
        ({"version": 2}, ["version: input should be 1 (found 2)"]),
        ({"version": 1, "wher": {}}, ["wher: unknown; did you mean where?"]),
        (
            {"version": 1, "where": {"title": "x"}},
            ["where.title: unknown here; it belongs into metadata: write `metadata: {title: ...}`"],
        ),
        (
            {"version": 1, "where": {"any": [{"is_virtual": True}, {"parent": {"whre": {}}}]}},
            ["where.any[1].parent.whre: unknown; did you mean where?"],
        ),
        (
            {"version": 1, "where": {"create_time": {"since": "2024-03-01T00:00:00"}}},
            ["where.create_time.since: has no time zone; add Z or an offset such as +01:00"],
        ),
        ({"version": 1, "where": {}}, ["where: is empty; write a condition or leave it out"]),
        (
            {"version": 1, "where": {"key": []}},
            ["where.key: is empty; write a value or leave it out"],
        ),
        (
            {"version": 1, "where": {"is_virtual": 1}},
            ["where.is_virtual: input should be a valid boolean (found 1)"],
        ),
        (
            {"version": 1, "where": {"description": "a\0"}},
            ["where.description.equals[0]: text must not contain NUL"],
        ),
        (
            {"version": 1, "where": {"is_deleted": True}},
            ["selector: a condition on is_deleted needs include_deleted: true"],
        ),
        ("version: 1\nversion: 1", ["line 2: the key 'version' is there twice"]),
        ("a: &a [x]\nb: *a", ["line 2: aliases (*name) are not taken; write it out"]),
        ("[" * 200_000, ["line 1: nested deeper than 100 levels"]),
        ("- " * 200_000, ["line 1: nested deeper than 100 levels"]),
        ('{"version":1,"where":' + '{"not":' * 90_000, ["nested deeper than 100 levels"]),
        (b"\xff\xfe", ["line 1: byte 0 is no UTF-8"]),
        ('{"version": NaN}', ["NaN is no number"]),
        ("just text", ["a selector is a mapping that begins with `version: 1`"]),
        ("", ["a selector is a mapping that begins with `version: 1`"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_path(document, wanted):
    assert problems(document) == wanted


@pytest.mark.parametrize(
    ("text", "path", "key"),
    [
        ("where:", "selector", "where"),
        ("limit:", "selector", "limit"),
        ("sample:", "selector", "sample"),
        ("where: {create_time: {before: }}", "where.create_time", "before"),
        ("where: {create_time: }", "where", "create_time"),
        ("where: {size_bytes: {min: }}", "where.size_bytes", "min"),
        ("where: {any: [{size_bytes: {min: }}]}", "where.any[0].size_bytes", "min"),
        ("where: {not: {description: {prefix: }}}", "where.not.description", "prefix"),
        ("where: {metadata: {title: }}", "where.metadata", "title"),
        ("where: {metadata: {title: {contains: }}}", "where.metadata.title", "contains"),
        ("where: {metadata: {source: }}", "where.metadata", "source"),
        ("where: {parent: {where: }}", "where.parent", "where"),
        ("where: {child: {relationship: }}", "where.child", "relationship"),
        ("where: {not: }", "where", "not"),
    ],
)
def test_a_key_without_a_value_is_refused_everywhere(text: str, path: str, key: str):
    (told,) = [line for line in problems(f"version: 1\n{text}") if "has no value" in line]
    assert told == f"{path}: {key} has no value; write one or leave the key out"


def test_a_column_without_a_value_is_refused():
    for block in ("source_metadata: {source: x", "result: {action: x"):
        for column in ("n: ", "n: {min: }", "n: {since: }", "n: {in: }"):
            assert problems(f"version: 1\nwhere: {{{block}, columns: {{{column}}}}}}}")


@pytest.mark.parametrize("time", ["20240301", "1709251200", "-1", "1709251200.5", "2024-W10-1"])
def test_digits_are_no_time(time: str):
    wanted = "write a time as 2024-03-01 or 2024-03-01T12:00:00Z"
    for key in ("since", "before"):
        told = problems({"version": 1, "where": {"create_time": {key: time}}})
        assert told == [f"where.create_time.{key}: {wanted}"]
    assert problems({"version": 1, "where": {"create_time": {"since": "2024-03-011"}}})


def test_very_many_mistakes_are_counted():
    inner = {"any": [{"key": []} for _ in range(190)]}
    told = problems({"version": 1, "where": {"any": [inner for _ in range(190)]}})
    assert len(told) == 201
    assert told[0] == "where.any[0].any[0].key: is empty; write a value or leave it out"
    assert told[-1] == f"... and {190 * 190 - 200:,} more"
    twice = "{" + ",".join(f'"k{number}":1' for number in range(200_000)) + ',"k199999":2}'
    assert problems(twice) == ["the key 'k199999' is there twice"]


def test_limits_on_what_a_document_may_be():
    deep: object = {"is_virtual": True}
    for _ in range(20):
        deep = {"not": deep}
    assert "nest 16 deep" in problems({"version": 1, "where": deep})[0]
    wide = {"any": [{"all": [{"is_virtual": True}] * 50} for _ in range(5)]}
    assert "200 in all" in problems({"version": 1, "where": wide})[0]
    assert problems({"version": 1, "where": {"key": ["ab" * 32] * 100_001}})
    assert problems({"version": 1, "where": {"ancestor": {"within": 99}}})
    far: object = {"node_id": 1}
    for _ in range(3):
        far = {"descendant": {"within": 6, "where": far}}
    assert "12 edges in all" in problems({"version": 1, "where": far})[0]
    assert problems({"version": 1, "where": {"size_bytes": 2**63}})
    assert problems("x: !!python/object/apply:os.system [true]")


def test_names_that_the_database_does_not_have(database: Database, world: World):
    where = {
        "metadata": {"source": "alfa"},
        "extension": "jpgg",
        "source_metadata": {"source": "alpha", "columns": {"like": {"min": 1}, "nsfw": {"min": 1}}},
        "result": {"action": "ocrr"},
        "ingest_batch": "frist",
        "pipeline": {"name": "bth"},
        "action": {"name": "crop"},
        "parent": {"relationship": "contain"},
    }
    with pytest.raises(SelectorError) as caught:
        found(database, where)
    told = "\n".join(caught.value.problems)
    for name in ("alpha", "jpg", "likes", "ocr", "first", "both", "crops", "contains"):
        assert f"did you mean {name}?" in told
    assert "where.source_metadata.columns.nsfw.min: does not fit a column of type boolean" in told


@pytest.mark.parametrize("value", [True, 1.5, "1", 2**64, [1], {"a": 1}])
def test_a_value_of_the_wrong_type_never_reaches_the_database(database, world, value):
    for operator in ("equals", "min"):
        columns = {"likes": {operator: value}}
        with pytest.raises(SelectorError, match=r"columns\.likes"):
            found(database, {"source_metadata": {"source": "alpha", "columns": columns}})


HOSTILE = (
    "'; DROP TABLE node; --", "%(p1)s", "%s", "$1", "{}", "{0}", "%", "_", "\\", "\\%", '"', "''",
    "a\tb\nc", "\x01", "🧱", "قصر", "\u202e", "x" * 4096, "NULL", "-- ", "/*", "\\x00",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(database: Database, world: World, text: str):
    with database.connection() as connection:
        connection.execute(
            'UPDATE common_metadata SET title = %s, author_description = %s, "user" = %s '
            "WHERE node_id = 1",
            [text, text, text],
        )
        connection.execute(
            "INSERT INTO common_metadata (node_id, source_id, is_raw, is_root, title, "
            'author_description, "user", observation_hash) '
            "VALUES (1, 1, true, true, %s, %s, %s, sha256('x')::bytea)".replace(
                "sha256('x')::bytea", "substr(sha256('x'), 1, 16)"
            ),
            [text, text, text],
        )
    both = {"include_deleted": True, "include_blacklisted": True}
    for block in (
        {"title": text}, {"title": {"contains": text}}, {"author": text}, {"user": text},
        {"author": {"prefix": text}},
    ):  # fmt: skip
        where = {"node_id": list(range(1, 4)), "metadata": block}
        others = {
            n.node_id
            for n in (world.nodes[2], world.nodes[3])
            if expected(world, read_selector({"version": 1, "where": where, **both})) & {n.node_id}
        }
        assert ids(found(database, where, **both)) == {1} | others
    for where in ({"description": text}, {"description": {"prefix": text}}):
        document = {"version": 1, "where": where, **both}
        assert ids(found(database, where, **both)) == expected(world, read_selector(document))
    assert database.aggregate(Selector(version=1)).count > 0


def test_wildcards_find_only_themselves(database: Database, world: World):
    titles = {"100%": 1, "100x": 2, "a_b": 3, "axb": 4, "a\\b": 5, "ab": 6}
    with database.connection() as connection:
        connection.execute("DELETE FROM common_metadata")
        for title, node_id in titles.items():
            connection.execute(
                "INSERT INTO common_metadata (node_id, source_id, is_raw, is_root, title, "
                "author_description, observation_hash) VALUES (%s, 1, true, true, %s, %s, "
                "substr(sha256('x'), 1, 16))",
                [node_id, title, title],
            )
            connection.execute(
                "INSERT INTO meta_alpha (node_id, observation_hash, handle) "
                "VALUES (%s, substr(sha256('bench'), 1, 16), %s)",
                [node_id, title],
            )
        connection.execute(
            "DELETE FROM meta_alpha WHERE observation_hash <> substr(sha256('bench'), 1, 16)"
        )
    both = {"include_deleted": True, "include_blacklisted": True}
    for title, node_id in titles.items():
        for where in (
            {"metadata": {"title": title}},
            {"metadata": {"title": {"contains": title}}},
            {"metadata": {"author": {"prefix": title}}},
            {"source_metadata": {"source": "alpha", "columns": {"handle": {"contains": title}}}},
        ):
            assert ids(found(database, where, **both)) == {node_id}, where


def test_long_lists_and_pages(database: Database, world: World):
    keys = [f"{number:064x}" for number in range(99_000)]
    keys += [node.sha256.hex() for node in world.nodes.values()]
    both = {"include_deleted": True, "include_blacklisted": True}
    assert ids(found(database, {"key": keys}, **both)) == set(world.nodes)
    assert len(found(database, {"node_id": list(range(100_000))}, **both)) == len(world.nodes)
    pages: list[int] = []
    last = 0
    while page := found(database, {"depth": {"min": 0}}, after_node_id=last, limit=7, **both):
        pages += [row.node_id for row in page]
        last = pages[-1]
    assert pages == sorted(world.nodes)


def test_values_are_only_parameters_and_the_names_are_known():
    document = {
        "version": 1,
        "where": {"metadata": {"title": {"contains": "SECRET"}, "user": "SECRET"}},
    }
    compiled = compile_selector(read_selector(document), Vocabulary())
    assert "SECRET" not in compiled.statement.as_string()
    assert sorted(compiled.parameters.values()) == ["%SECRET%", "SECRET"]


def test_a_choice_that_nobody_needs_does_not_multiply():
    where: object = {"metadata": {"is_raw": True}}
    for _ in range(7):
        where = {"tree_root": {"where": {"any": [where, {"action_batch": 1}]}}}
    document = read_selector({"version": 1, "where": where})
    for choices in ((), (True,) * 50):
        assert len(compile_selector(document, Vocabulary(), "rows", choices).parameters) < 100


def test_explain_shows_the_parameters_apart(database: Database, world: World):
    where = {"media_type": "image", "any": [{"metadata": {"user": "ann"}}, {"action_batch": 1}]}
    told = database.explain(read_selector({"version": 1, "where": where}))
    assert told.rows_estimate >= 1
    assert told.cost > 0
    assert "ann" in told.parameters.values()
    assert "ann" not in told.statement
    assert "physical_content" in told.plan


def test_a_plan_beyond_the_limit_is_refused(database: Database, world: World):
    with database.reading() as connection:
        with pytest.raises(SelectorError, match="add a condition that few nodes fulfil"):
            select.aggregate(connection, Selector(version=1), cost_max=0.1)
        assert select.aggregate(connection, Selector(version=1), cost_max=float("inf")).count


def test_a_selector_can_change_nothing(database: Database, world: World):
    with pytest.raises(StatementError, match="25006"), database.reading() as connection:
        connection.execute("CREATE TABLE x (y int)")
    with pytest.raises(StatementError), database.reading() as connection:
        connection.execute("DELETE FROM node")


def test_a_query_that_takes_too_long_says_what_to_do(database: Database, database_url: str):
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "SELECT sha256(n::text::bytea), true, 1, 1 FROM generate_series(1, 5000) AS n"
        )
        connection.execute("ANALYZE node")
    with Database.connect(database_url, statement_timeout_s=0.2) as hurried:
        mate = {"where": {"same_tree": {"where": {"not": {"node_id": 1}, "depth": {"min": 0}}}}}
        slow = read_selector({"version": 1, "where": {"not": {"same_tree": mate}}})
        with pytest.raises((QueryTimeoutError, SelectorError)) as caught:
            list(hurried.query_nodes(slow))
            with hurried.reading() as connection:
                connection.execute("SELECT pg_sleep(2)")
        assert "narrow it" in str(caught.value)
        with hurried.reading() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert database.aggregate(Selector(version=1)).count == 5000


def test_streaming_does_not_hold_the_answer(database: Database):
    import tracemalloc

    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "SELECT sha256(n::text::bytea), true, n, n FROM generate_series(1, 200000) AS n"
        )
    tracemalloc.start()
    try:
        count = sum(1 for _ in database.query_nodes(Selector(version=1)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 200_000
    assert peak < 20_000_000


def test_rows_left_untaken_give_the_connection_back(database: Database, world: World):
    for _ in range(20):
        rows = database.query_nodes(Selector(version=1))
        next(rows)
        rows.close()
    assert database.aggregate(Selector(version=1)).count


def test_by_media_type(database: Database, world: World):
    total = database.aggregate(Selector(version=1))
    rows = found(database, {"depth": {"min": 0}})
    for kind, part in total.by_media_type.items():
        of_kind = [row for row in rows if (row.media_type or "none") == kind]
        assert part.count == len(of_kind)
        assert part.size_bytes == sum(row.size_bytes or 0 for row in of_kind)
    assert total.count == len(rows)
