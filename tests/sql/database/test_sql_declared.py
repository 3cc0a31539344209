"""Declared tables: how they are made, how they may change, and how a change is refused."""

from __future__ import annotations

import threading

import psycopg
import pytest
from pydantic import ValidationError

from sql import Column, Database, DeclaredTable
from sql.core.declared import TYPES, declared_tables, schema_of
from sql.core.errors import SchemaError


def column(name: str, type_name: str = "bigint", **more: object) -> Column:
    return Column(name=name, type=type_name, comment=f"The {name}", **more)


def table(*columns: Column, version: int = 1, **more: object) -> DeclaredTable:
    settings = {"kind": "source", "name": "birdsite", "comment": "Posts of the bird site", **more}
    return DeclaredTable(version=version, columns=columns, **settings)


FIRST = table(column("likes", "integer"), column("lang", "text"), column("tags", "text[]"))


def columns_of(database: Database, name: str) -> dict[str, tuple[str, bool]]:
    query = """
        SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
    """
    with database.reading() as connection:
        found = connection.execute(query, [name]).fetchall()
    return {name: (type_name, nullable) for name, type_name, nullable in found}


def test_a_source(database):
    assert database.declare(FIRST)
    assert columns_of(database, "meta_birdsite") == {
        "id": ("bigint", False),
        "node_id": ("bigint", False),
        "observation_hash": ("bytea", False),
        "download_time": ("timestamp with time zone", True),
        "likes": ("integer", True),
        "lang": ("text", True),
        "tags": ("text[]", True),
    }
    with database.reading() as connection:
        query = "SELECT description, meta_table_name FROM source"
        assert connection.execute(query).fetchall() == [("birdsite", "meta_birdsite")]
        # The reading role sees tables that came after it.
        assert connection.execute("SELECT count(*) FROM meta_birdsite").fetchone() == (0,)
        assert schema_of(connection, "meta_birdsite") == FIRST
        assert declared_tables(connection) == [FIRST]
        assert schema_of(connection, "meta_other") is None


def test_an_action(database):
    wanted = table(
        column("position", "double precision[]"),
        column("character", "text", nullable=False),
        kind="action",
        name="ocr_detect",
    )
    assert database.declare(wanted)
    assert columns_of(database, "result_ocr_detect") == {
        "id": ("bigint", False),
        "node_id": ("bigint", False),
        "action_event_id": ("bigint", False),
        "position": ("double precision[]", True),
        "character": ("text", False),
    }
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM source").fetchone() == (0,)
        targets = connection.execute(
            "SELECT confrelid::regclass::text FROM pg_constraint "
            "WHERE contype = 'f' AND conrelid = 'result_ocr_detect'::regclass ORDER BY 1"
        ).fetchall()
    assert targets == [("action_event",), ("node",)]


def test_all_types_and_all_comments(database):
    names = [f"c{number}" for number in range(len(TYPES))]
    quotes = Column(name="odd", type="text", comment="""It's "quoted"; -- \\ {} %s 🐦""")
    declared = [column(name, kind) for name, kind in zip(names, TYPES, strict=True)]
    database.declare(table(*declared, quotes))
    found = columns_of(database, "meta_birdsite")
    spelled = {"timestamptz": "timestamp with time zone"}
    assert [found[name][0] for name in names] == [spelled.get(kind, kind) for kind in TYPES]
    with database.reading() as connection:
        comments = connection.execute(
            "SELECT col_description(attrelid, attnum), obj_description(attrelid, 'pg_class') "
            "FROM pg_attribute WHERE attrelid = 'meta_birdsite'::regclass AND attnum > 0"
        ).fetchall()
    assert all(of_column and of_table for of_column, of_table in comments)
    assert comments[-1] == (quotes.comment, "07xx: Posts of the bird site")


def test_an_observation_is_kept_once(database):
    database.declare(FIRST)
    insert = (
        "INSERT INTO meta_birdsite (node_id, observation_hash, likes) VALUES (%s, %s, 1) "
        "ON CONFLICT DO NOTHING"
    )
    with database.connection() as connection:
        node = connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "VALUES (sha256('x'), true, 0, 0) RETURNING node_id"
        ).fetchone()[0]
        for hash_byte in (b"a", b"a", b"b"):
            connection.execute(insert, [node, hash_byte * 16])
        assert connection.execute("SELECT count(*) FROM meta_birdsite").fetchone() == (2,)


def test_the_same_again_does_nothing(database):
    assert database.declare(FIRST)
    assert not database.declare(FIRST)
    assert not database.declare(DeclaredTable.model_validate_json(FIRST.model_dump_json()))


def test_a_higher_version_adds_and_widens(database):
    database.declare(FIRST)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "VALUES (sha256('x'), true, 0, 0)"
        )
        connection.execute(
            "INSERT INTO meta_birdsite (node_id, observation_hash, likes, lang) "
            "SELECT node_id, decode(repeat('ab', 16), 'hex'), 5, 'en' FROM node"
        )
    second = table(
        column("likes", "bigint"),
        column("lang", "text"),
        column("tags", "text[]"),
        column("views"),
        version=2,
        comment="Posts, with views",
    )
    assert database.declare(second)
    assert not database.declare(second)
    found = columns_of(database, "meta_birdsite")
    assert (found["likes"], found["views"]) == (("bigint", True), ("bigint", True))
    with database.reading() as connection:
        query = "SELECT likes, lang, views FROM meta_birdsite"
        assert connection.execute(query).fetchall() == [(5, "en", None)]
        assert schema_of(connection, "meta_birdsite") == second
    # Versions may be skipped.
    assert database.declare(table(*second.columns, column("more"), version=9))


@pytest.mark.parametrize(
    ("columns", "difference"),
    [
        ([("likes", "integer"), ("lang", "text")], ["column tags (text[]) is gone"]),
        (
            [("likes", "text"), ("lang", "text"), ("tags", "text[]")],
            ["column likes: integer -> text"],
        ),
        (
            [("likes", "bigint"), ("lang", "bigint"), ("tags", "bigint[]")],
            ["column lang: text -> bigint", "column tags: text[] -> bigint[]"],
        ),
        (
            [("favourites", "integer"), ("lang", "text"), ("tags", "text[]")],
            ["column likes (integer) is gone"],
        ),
    ],
)
def test_a_change_that_would_lose_something_is_refused(database, columns, difference):
    database.declare(FIRST)
    before = columns_of(database, "meta_birdsite")
    with pytest.raises(SchemaError) as caught:
        database.declare(table(*[column(*pair) for pair in columns], version=2))
    assert [line.partition(";")[0] for line in caught.value.difference] == difference
    assert all(line in str(caught.value) for line in caught.value.difference)
    assert columns_of(database, "meta_birdsite") == before


def test_narrowing_and_not_null_are_refused(database):
    database.declare(table(column("likes"), column("lang", "text")))
    for wanted, line in (
        (column("likes", "integer"), "column likes: bigint -> integer"),
        (column("likes", nullable=False), "column likes: bigint -> bigint not null"),
    ):
        with pytest.raises(SchemaError) as caught:
            database.declare(table(wanted, column("lang", "text"), version=2))
        assert caught.value.difference == [line]
    with pytest.raises(SchemaError, match="new and not nullable"):
        strict = column("strict", nullable=False)
        database.declare(table(column("likes"), column("lang", "text"), strict, version=2))


def test_a_lower_version_is_refused(database):
    database.declare(table(column("likes"), version=3))
    with pytest.raises(SchemaError, match="at version 3, and version 2 was asked for"):
        database.declare(table(column("likes"), version=2))


def test_a_change_without_a_higher_version_is_refused(database):
    database.declare(FIRST)
    with pytest.raises(SchemaError, match="raise the version") as caught:
        database.declare(table(*FIRST.columns, column("views")))
    assert caught.value.difference == ["column views (bigint) is new"]
    with pytest.raises(SchemaError, match="the comment of the table"):
        database.declare(table(*FIRST.columns, comment="Something else"))
    with pytest.raises(SchemaError, match="the order of the columns"):
        database.declare(table(*reversed(FIRST.columns)))


def test_a_table_that_was_made_by_hand_is_refused(database):
    with database.connection() as connection:
        connection.execute("CREATE TABLE meta_birdsite (mine text)")
    with pytest.raises(SchemaError, match="was not made from a declaration"):
        database.declare(FIRST)
    with database.reading() as connection:
        assert declared_tables(connection) == []
        assert connection.execute("SELECT count(*) FROM source").fetchone() == (0,)


def test_many_declare_at_once(database):
    """The same table and others, from several threads: one makes each, nobody fails."""
    wanted = [FIRST, *(table(column("x"), name=f"site{number}") for number in range(3))]
    made: list[bool] = []
    failed: list[BaseException] = []

    def work(order: int) -> None:
        try:
            made.extend(database.declare(one) for one in wanted[order:] + wanted[:order])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=[order]) for order in range(len(wanted))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert sum(made) == len(wanted)


def test_versions_that_race_end_with_the_highest(database):
    database.declare(FIRST)
    later = [
        table(*FIRST.columns, *(column(f"x{n}") for n in range(1, version)), version=version)
        for version in range(2, 6)
    ]

    def work(wanted: DeclaredTable) -> None:
        try:
            database.declare(wanted)
        except SchemaError as error:
            assert "was asked for" in str(error)

    threads = [threading.Thread(target=work, args=[wanted]) for wanted in later]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with database.reading() as connection:
        assert schema_of(connection, "meta_birdsite") == later[-1]
    assert "x4" in columns_of(database, "meta_birdsite")


@pytest.mark.parametrize(
    "name",
    ["", "Likes", "1st", "a b", 'x"; DROP TABLE node; --', "ä", "x" * 42, "a-b", "x\n", "_x"],
)
def test_names_are_plain(name):
    with pytest.raises(ValidationError):
        column(name)
    with pytest.raises(ValidationError):
        table(column("x"), name=name)


@pytest.mark.parametrize(
    "name",
    ["id", "node_id", "observation_hash", "download_time", "action_event_id", "ctid", "xmin"],
)
def test_reserved_names_are_refused(name):
    with pytest.raises(ValidationError, match="take another"):
        column(name)


@pytest.mark.parametrize(
    "kind", ["numeric", "json", "text; DROP TABLE node", "varchar(5)", "", "int"]
)
def test_other_types_are_refused(kind):
    with pytest.raises(ValidationError):
        column("x", kind)


def test_what_else_is_refused():
    with pytest.raises(ValidationError, match="named twice: x"):
        table(column("x"), column("x", "text"))
    with pytest.raises(ValidationError):
        Column(name="x", type="text", comment="")
    with pytest.raises(ValidationError, match="NUL"):
        Column(name="x", type="text", comment="a\0b")
    with pytest.raises(ValidationError):
        table(column("x"), version=0)
    with pytest.raises(ValidationError):
        table(column("x"), extra="field")


def test_words_of_the_language_are_only_names(database):
    words = ["order", "user", "select", "table", "end", "position", "character"]
    database.declare(table(*[column(word, "text") for word in words], name="select"))
    assert set(words) < set(columns_of(database, "meta_select"))


def test_the_longest_names_fit(database):
    long = "x" * 41
    for kind in ("source", "action"):
        wanted = table(column(long), name=long, kind=kind)
        database.declare(wanted)
        assert long in columns_of(database, wanted.table_name)


def test_the_reader_cannot_write_what_is_declared(database):
    database.declare(FIRST)
    with database.reading() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT nextval(pg_get_serial_sequence('meta_birdsite', 'id'))")
