"""Whatever a selector says, the compiled statement finds what a naive reading of it finds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selector_meaning import expected
from selector_world import (
    ACTIONS,
    DESCRIPTIONS,
    EXTENSIONS,
    NUMBERS,
    PIPELINES,
    RELATIONSHIPS,
    SOURCES,
    TIMES,
    USERS,
    WORDS,
    World,
    insert_world,
    make_world,
)

from sql import Database
from sql.selector import select
from sql.selector.compile_selector import compile_selector
from sql.selector.document import read_selector
from sql.selector.select import NodeRow
from sql.selector.selector import Selector
from sql.selector.vocabulary import load_vocabulary

SEEDS = (1, 2, 3)
NODES = 45
MOMENTS = [time + timedelta(hours=shift) for time in TIMES for shift in (0, 1)]


def some(values, most=3):
    return st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=most, unique=True)


def mapping(**optional):
    return st.fixed_dictionaries({}, optional=optional).filter(bool)


numbers = mapping(min=st.sampled_from(NUMBERS), max=st.sampled_from(NUMBERS)) | st.sampled_from(
    NUMBERS
)
times = mapping(since=st.sampled_from(MOMENTS), before=st.sampled_from(MOMENTS))
words = st.sampled_from(WORDS)
texts = mapping(equals=words, contains=words) | words
pieces = st.sampled_from(DESCRIPTIONS).flatmap(
    lambda text: st.integers(1, len(text)).map(lambda length: text[:length])
)
descriptions = mapping(equals=some(DESCRIPTIONS), prefix=pieces) | st.sampled_from(DESCRIPTIONS)
keys = st.lists(
    st.sampled_from([hashlib.sha256(text.encode()).hexdigest() for text in DESCRIPTIONS])
    | st.tuples(st.sampled_from(SEEDS), st.integers(1, NODES)).map(
        lambda pair: hashlib.sha256(f"{pair[0]} {pair[1]}".encode()).hexdigest()
    ),
    min_size=1,
    max_size=4,
)
metadata = mapping(
    source=some(SOURCES),
    is_raw=st.booleans(),
    is_root=st.booleans(),
    title=texts,
    view=numbers,
    update_time=times,
    download_time=times,
    author=descriptions,
    user=some(USERS),
)
null = st.booleans().map(lambda flag: {"is_null": flag})
whole = mapping(equals=st.sampled_from(NUMBERS), min=st.sampled_from(NUMBERS)) | some(NUMBERS).map(
    lambda values: {"in": values}
)
alpha_columns = st.fixed_dictionaries(
    {},
    optional={
        "likes": whole | null,
        "score": mapping(min=st.sampled_from([-1, 0.5, 1e300]), max=st.sampled_from([0, 1])),
        "nsfw": st.booleans() | null,
        "handle": mapping(equals=words, contains=words) | some(WORDS).map(lambda v: {"in": v}),
        "tags": words.map(lambda word: {"has": word}) | some(WORDS, 2).map(lambda v: {"has": v}),
        "ids": st.sampled_from(NUMBERS).map(lambda number: {"has": number}) | null,
        "day": times | null,
        "at": times,
        "hash": st.sampled_from(["00", "01"]),
        "width": whole,
    },
)
ocr_columns = st.fixed_dictionaries({}, optional={"position": whole, "word": texts})


LEAVES = {
    "key": keys,
    "node_id": st.lists(st.integers(0, NODES + 1), min_size=1, max_size=20),
    "is_virtual": st.booleans(),
    "is_physical": st.booleans(),
    "is_tree_root": st.booleans(),
    "depth": mapping(min=st.integers(0, 3), max=st.integers(0, 3)),
    "description": descriptions,
    "media_type": some(set(EXTENSIONS.values())),
    "extension": some(EXTENSIONS),
    "size_bytes": mapping(min=st.sampled_from([1, 10]), max=st.sampled_from([10, 2**40])),
    "create_time": times,
    "metadata": metadata,
    "source_metadata": st.fixed_dictionaries(
        {"source": st.just("alpha")}, optional={"columns": alpha_columns}
    ),
    "result": st.fixed_dictionaries({"action": st.just("ocr")}, optional={"columns": ocr_columns}),
    "action": st.fixed_dictionaries(
        {"name": st.sampled_from(sorted(ACTIONS))},
        optional={"done": st.booleans(), "failed": st.booleans()},
    ).filter(lambda state: not (state.get("done") and state.get("failed"))),
    "pipeline": st.fixed_dictionaries(
        {"name": st.sampled_from(sorted(PIPELINES))}, optional={"complete": st.booleans()}
    ),
    "action_batch": st.lists(st.integers(1, 4), min_size=1, max_size=2),
    "ingest_batch": some({"first", "second"}),
}


@st.composite
def leaves(draw):
    """One or two conditions: with more, hardly any node would be left."""
    return {name: draw(LEAVES[name]) for name in draw(some(LEAVES, 2))}


def conditions():
    return st.recursive(leaves(), nested, max_leaves=6)


def nested(inner):
    relative = st.fixed_dictionaries(
        {}, optional={"relationship": some(RELATIONSHIPS), "where": inner}
    )
    distant = st.tuples(relative, st.integers(1, 4)).map(
        lambda pair: {**pair[0], "within": pair[1]}
    )
    mate = inner.map(lambda where: {"where": where})
    several = st.lists(inner, min_size=1, max_size=3)
    names = {
        "all": several, "any": several, "not": inner, "parent": relative, "child": relative,
        "ancestor": distant, "descendant": distant, "tree_root": mate, "same_tree": mate,
        "same_component": mate,
    }  # fmt: skip
    return st.one_of([value.map(lambda v, n=name: {n: v}) for name, value in names.items()])


@pytest.fixture(scope="module", params=SEEDS)
def world_database(request, database_server, database_template) -> Iterator[tuple[World, Database]]:
    import database_harness

    with (
        database_harness.new_database(database_server, database_template) as url,
        Database.connect(url) as database,
    ):
        world = make_world(request.param, NODES)
        insert_world(database, world)
        yield world, database


def found(database: Database, selector: Selector, choices=None) -> list[NodeRow] | list[int]:
    with database.reading() as connection:
        if choices is None:
            return list(select.query_nodes(connection, selector, described=True))
        vocabulary = load_vocabulary(connection, selector)
        compiled = compile_selector(selector, vocabulary, "rows", choices)
        return [row[0] for row in connection.execute(compiled.statement, compiled.parameters)]


@settings(
    max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False
)
@given(where=conditions(), deleted=st.booleans(), blacklisted=st.booleans())
def test_a_selector_finds_what_it_says(world_database, where, deleted, blacklisted):
    world, database = world_database
    selector = read_selector(
        {
            "version": 1,
            "where": where,
            "include_deleted": deleted,
            "include_blacklisted": blacklisted,
        }
    )
    wanted = expected(world, selector)
    for choices in ((), (True,) * 20):
        rows = found(database, selector, choices)
        assert sorted(rows) == sorted(wanted), choices
    rows = found(database, selector)
    assert {row.node_id for row in rows} == wanted
    for row in rows:
        node = world.nodes[row.node_id]
        content = node.content or {}
        assert row == NodeRow(
            node.node_id,
            node.sha256.hex(),
            content.get("size_bytes"),
            content.get("extension"),
            EXTENSIONS.get(content.get("extension")),
            node.description,
        )
    with database.reading() as connection:
        total = select.aggregate(connection, selector)
    assert (total.count, total.size_bytes) == (len(rows), sum(row.size_bytes or 0 for row in rows))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    where=conditions(),
    count=st.integers(1, 30),
    seed=st.integers(-5, 5),
    order=st.lists(st.sampled_from(["node_id", "key", "size_bytes", "depth", "view"]), max_size=2),
    descending=st.booleans(),
    limit=st.none() | st.integers(0, 10),
)
def test_a_sample_an_order_and_a_limit_do_what_they_say(
    world_database, where, count, seed, order, descending, limit
):
    world, database = world_database
    selector = read_selector(
        {
            "version": 1,
            "where": where,
            "sample": {"count": count, "seed": seed},
            "order": [{"by": name, "descending": descending} for name in order],
            **({} if limit is None else {"limit": limit}),
        }
    )

    def lot(node_id: int):
        return hashlib.sha256(b"%d:" % seed + world.nodes[node_id].sha256).digest(), node_id

    chosen = sorted(expected(world, selector), key=lot)[:count]

    def rank(node_id: int, name: str):
        node = world.nodes[node_id]
        views = [row["view"] for row in node.metadata if row["view"] is not None]
        value = {
            "node_id": node_id,
            "key": int.from_bytes(node.sha256, "big"),
            "size_bytes": node.content and node.content["size_bytes"],
            "depth": node.depth,
            "view": max(views, default=None),
        }[name]
        return (value is None, 0 if value is None else -value if descending else value)

    if order:
        chosen.sort(key=lambda node_id: ([rank(node_id, name) for name in order], node_id))
    assert [row.node_id for row in found(database, selector)] == chosen[:limit]
    with database.reading() as connection:
        assert select.aggregate(connection, selector).count == len(chosen[:limit])
