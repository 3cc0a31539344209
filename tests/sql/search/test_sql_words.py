"""Words: what is found by which, in every script, and how far they have been read."""

from __future__ import annotations

import threading

import psycopg
import pytest

from sql import Database
from sql.core.errors import SelectorError
from sql.intent.intent import (
    CommonMetadata,
    Edge,
    PhysicalNode,
    Relationship,
    VirtualNode,
    WriteIntent,
    key_of,
)
from sql.search import words
from sql.selector.document import read_selector
from sql.selector.select import query_nodes

RELATIONSHIPS = tuple(
    Relationship(description=name, forms_tree=name == "contains")
    for name in ("contains", "authored", "credited", "tagged", "member", "alias", "reply")
)
PICTURE = "c" * 64


def intent(
    name: str, titles: dict[str, str | None], edges: tuple[tuple[str, str, str], ...] = (), **more
) -> WriteIntent:
    return WriteIntent(
        intent_id=name,
        virtual_nodes=tuple(VirtualNode(description=one) for one in titles),
        relationships=RELATIONSHIPS,
        common_metadata=tuple(
            CommonMetadata(key=key_of(one), source="site", is_root=False, title=title)
            for one, title in titles.items()
            if title is not None
        ),
        edges=tuple(
            Edge(parent=key(parent), child=key(child), relationship=word)
            for parent, word, child in edges
        ),
        **more,
    )


def key(name: str) -> str:
    return name if len(name) == 64 else key_of(name)


@pytest.fixture
def site(database: Database) -> Database:
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO source (description, meta_table_name) VALUES ('site', 'meta_site')"
        )
    return database


@pytest.fixture
def post(site: Database) -> Database:
    """A post with a picture, by a person with three names, tagged, in a channel, and its answer."""
    titles = {
        "site:post:1": "The Red-Haired CAT sleeps; naïve Straße",
        "site:user:77": "Ann Example",
        "site:username:painter_ann": None,
        "site:tag:cat_ears": None,
        "site:channel:5": "Animals daily",
        "site:post:2": "an answer",
        "site:user:78": "Bob",
    }
    edges = (
        ("site:post:1", "contains", PICTURE),
        ("site:user:77", "authored", "site:post:1"),
        ("site:user:77", "alias", "site:username:painter_ann"),
        ("site:tag:cat_ears", "tagged", "site:post:1"),
        ("site:channel:5", "member", "site:post:1"),
        ("site:post:1", "reply", "site:post:2"),
        ("site:user:78", "authored", "site:post:2"),
    )
    picture = PhysicalNode(key=PICTURE, size_bytes=9, extension="png")
    site.apply_intent(intent("post", titles, edges, physical_nodes=(picture,)))
    return site


def found(database: Database, asked: object, **more: object) -> set[str]:
    """Return what words find: descriptions, and `picture`."""
    selector = read_selector({"version": 1, "where": {"words": asked, **more}})
    with database.reading() as connection:
        rows = list(query_nodes(connection, selector, described=True))
    assert len({row.node_id for row in rows}) == len(rows)
    return {row.description or "picture" for row in rows}


POST = {"site:post:1", "picture"}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("red cat", POST),
        ("CAT haired", POST),
        ("red-haired", POST),
        ("naïve strasse", set()),
        ("NAÏVE straße", POST),
        ("slee", set()),
        ("slee*", POST),
        ("ears", POST | {"site:tag:cat_ears"}),
        ("cat_ears", POST | {"site:tag:cat_ears"}),
        ("example", POST | {"site:user:77"}),
        ("painter", POST | {"site:user:77", "site:username:painter_ann"}),
        ("animals sleeps", POST),
        ("animals answer", set()),
        ("bob", {"site:user:78", "site:post:2"}),
        ({"author": "ann"}, POST),
        ({"author": "painter_ann", "text": "red"}, POST),
        ({"author": "cat"}, set()),
        ({"tag": "cat"}, POST),
        ({"tag": "ann"}, set()),
        ({"tag": "ears", "author": "bob"}, set()),
        ("%' OR 1=1 --", set()),
        ("a'b\\c:*!&|()<->", set()),
    ],
)
def test_found_by_words(post, asked, wanted):
    assert found(post, asked) == wanted


def test_with_other_conditions_and_without(post):
    assert found(post, "cat", media_type="image") == {"picture"}
    assert found(post, "cat", is_virtual=True) == {"site:post:1", "site:tag:cat_ears"}
    document = {"version": 1, "where": {"is_virtual": True, "not": {"words": "ann"}}}
    with post.reading() as connection:
        rows = list(query_nodes(connection, read_selector(document), described=True))
    assert {row.description for row in rows} == {
        "site:channel:5", "site:post:2", "site:tag:cat_ears", "site:user:78",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("title", "asked", "is_found"),
    [
        ("猫の写真", "猫", True),
        ("猫の写真", "写真", True),
        ("猫の写真", "真", True),
        ("猫の写真", "猫の写真", True),
        ("猫の写真", "犬", False),
        ("猫の写真", "猫真", False),
        ("ネコ(かわいい)", "かわいい", True),
        ("ﾈｺ", "ネコ", True),
        ("고양이 사진", "고양", True),
        ("кот спит", "КОТ", True),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full width", True),
        ("say 🐈 hello", "🐈", False),
        ("say 🐈 hello", "hello", True),
    ],
)
def test_every_script(site, title, asked, is_found):
    site.apply_intent(intent("one", {"site:post:9": title}))
    if asked == "🐈":
        with pytest.raises(SelectorError, match="one to 20 words"):
            found(site, asked)
        return
    assert found(site, asked) == ({"site:post:9"} if is_found else set())


@pytest.mark.parametrize("asked", ["", "   ", "!!", "a " * 21, "x" * 501, {"text": ""}, {}, 7])
def test_what_asks_for_nothing_or_too_much_is_refused(site, asked):
    with pytest.raises(SelectorError):
        found(site, asked)


def test_words_of_what_is_said_later_are_added(post):
    later = {"site:post:1": "renamed to dragon", "site:user:77": "Ann Newname"}
    post.apply_intent(intent("later", later))
    assert found(post, "dragon") == found(post, "red") == POST
    assert found(post, {"author": "newname"}) == found(post, {"author": "example"}) == POST


def test_texts_of_any_length_and_letter(site):
    titles = ["w" * 4_096, "猫" * 4_096, " ".join(f"w{number}" for number in range(700)), "\u200b"]
    site.apply_intent(intent("long", {f"site:post:{n}": title for n, title in enumerate(titles)}))
    assert found(site, "w" * 500) == {"site:post:0"}
    assert found(site, "猫猫猫") == {"site:post:1"}
    assert found(site, "w699") == {"site:post:2"}


def test_what_was_written_before_there_were_words_is_read_on(post):
    with post.connection() as connection:
        connection.execute("TRUNCATE node_words")
        connection.execute("UPDATE words_progress SET metadata_id = 0, record_id = 0")
    assert found(post, "cat") == set()
    assert words.read_on(post, rows_at_once=2)
    assert found(post, "cat") != found(post, "bob") == set()
    post.read_words()
    assert found(post, "bob") == {"site:user:78", "site:post:2"}
    assert not words.read_on(post)


def test_two_readers_and_writers_miss_nothing(site):
    def write(number: int) -> None:
        for one in range(10):
            name = f"site:post:{number}-{one}"
            site.apply_intent(intent(f"{number}-{one}", {name: f"common word{number}x{one}"}))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(found(site, "common")) == 40


def test_an_aborted_reading_is_as_if_it_had_not_begun(post, database_url):
    with post.connection() as connection:
        connection.execute("TRUNCATE node_words")
        connection.execute("UPDATE words_progress SET metadata_id = 0, record_id = 0")
        connection.execute(
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'stop'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER stop BEFORE UPDATE ON words_progress "
            "FOR EACH ROW EXECUTE FUNCTION stop()"
        )
    with pytest.raises(Exception, match="stop"):
        post.read_words()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM node_words").fetchone() == (0,)
        connection.execute("DROP TRIGGER stop ON words_progress")
    post.read_words()
    assert found(post, "cat") == POST | {"site:tag:cat_ears"}
