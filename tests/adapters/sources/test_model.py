"""The tables of platforms: declarations, recasting, what is written, and values of other types."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Record
from adapters.sources.columns import recast, source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder

SITE = source(
    "site",
    "A site",
    """
    post:
    post_id text = id # Id
    like_count bigint = likes # Likes
    tags text[] = tags[].name # Tags
    medium:
    post_id = ^.id
    width bigint = w:nonzero # Width
    user:
    user_id text = id # Id, on rows of users
    """,
)
ADA = Person(id="id", name="name", title="name", at="by", unless_only="user_id")
POST = Node(
    "post",
    id="id",
    title="text",
    view="views",
    time="at",
    author=ADA,
    tags="tags[].name",
    media=(Medium(id="key", at="media[]", title="alt", urls="url", stems="{^.id}_{^position}"),),
    edges=(
        Edge("reply", "post", "answers"),
        Edge("linked", "address", "links[]"),
        Edge("mentioned", Person(id="id", name="name"), "people[]"),
        Edge("member", "post", "posts[]", is_parent=True, is_numbered=True),
    ),
)
RULES = Rules(SITE, "site", {"post": POST})
VALUE: dict[str, Any] = {
    "id": "1", "text": "hello", "views": 5, "at": "2020-01-02T03:04:05Z", "likes": "7",
    "by": {"id": 9, "name": "Ada"}, "tags": [{"name": "Sea"}, {}, {"name": "Sea"}],
    "media": [{"key": "a", "w": 0}, {"key": "b", "w": 4, "alt": "b's own"}],
    "answers": "0", "links": ["https://a.example/", 3], "people": [{"name": "Bob"}],
    "posts": ["2", "3"],
}  # fmt: skip


def read(value: Any, folder: Path | None = None) -> Record:
    scraped = ScrapeFolder.of(str(folder)) if folder else ScrapeFolder("/", {})
    draft = Draft("site", "x.json", MediaFinder(scraped))
    RULES.read(draft, "post", value)
    return draft.record(0, value)


def edges(record: Record) -> set[str]:
    def name(node: Any) -> str:
        return f"file {node.path}" if isinstance(node, MediaFile) else node

    return {f"{name(e.parent)} {e.relationship} {name(e.child)} {e.position}" for e in record.links}


def test_a_record_of_a_table():
    record = read(VALUE)
    said = {one.node: one for one in record.observations}
    post, medium = said["site:post:1"], said["site:media:b"]
    assert (post.title, post.view, post.author) == ("hello", 5, "site:user:9")
    assert post.meta == {"post_id": "1", "like_count": 7, "tags": ["Sea"]}
    assert medium.meta == {"post_id": "1", "width": 4} and medium.is_root
    assert (medium.title, said["site:media:a"].title) == ("b's own", "hello")
    assert medium.update_time == post.update_time
    assert edges(record) == {
        "site:user:9 authored site:post:1 None",
        "site:user:9 alias site:username:ada None",
        "site:tag:sea tagged site:post:1 None",
        "site:post:1 contains site:media:a 0",
        "site:post:1 contains site:media:b 1",
        "site:post:0 reply site:post:1 None",
        "site:post:1 linked web:page:https://a.example/ None",
        "site:post:1 mentioned site:username:bob None",
        "site:post:1 member site:post:2 0",
        "site:post:1 member site:post:3 1",
    }
    assert record.unread == ()


def test_files_by_address_and_number(tmp_path: Path):
    for name in ("123456_1.jpg", "photo-of-sea.jpg"):
        (tmp_path / name).write_bytes(b"x")
    value = {"id": "123456", "media": [{"url": "https://x.example/photo-of-sea.jpg"}, {"key": "b"}]}
    assert edges(read(value, tmp_path)) == {
        "site:post:123456 contains file photo-of-sea.jpg 0",
        "site:post:123456 contains file 123456_1.jpg 1",
    }


def test_values_of_another_type_are_none_and_counted():
    record = read(
        {"id": "1", "likes": "many", "tags": [{"name": {}}], "media": [{"key": "a", "w": []}]}
    )
    assert dict(record.unread) == {"site.like_count": 1, "site.tags": 1, "site.width": 1}
    assert record.observations[0].meta == {"post_id": "1"}


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_value_is_an_error_of_the_record(data: st.DataObject):
    value = copy.deepcopy(VALUE)
    odd = st.sampled_from(
        [None, True, 0, -1, 1.5, 2**70, "", "x", "\0", [], {}, [None], [[]], {"id": []}]
    )
    for name in data.draw(st.lists(st.sampled_from(sorted(value.keys() - {"id"})), max_size=6)):
        value[name] = data.draw(odd)
    record = read(value)
    assert record.subject == "site:post:1"


@pytest.mark.parametrize("identity", [None, "", " ", 1.5, True, [], {}, "\0"])
def test_a_record_without_a_usable_id_is_said(identity: Any):
    with pytest.raises(RecordError, match="the post has no usable id"):
        read({"id": identity})
    with pytest.raises(RecordError, match="no object"):
        read([identity])


def test_formats_become_the_same_fields():
    user = recast("id = uid\nname = nick")
    other = recast(
        "id = pk\ntext = a|b\nby = author > user\nmedia = pictures > medium",
        lambda fields: fields | {"by": fields["by"][0]},
        user=user,
        medium=recast("key = k"),
    )
    value = {
        "pk": 1,
        "b": "hello",
        "author": {"uid": 9, "nick": "Ada"},
        "pictures": [{"k": "a"}, 3],
    }
    before = copy.deepcopy(value)
    fields = other(value)
    assert fields["by"] == {"id": 9, "name": "Ada"} and value == before
    record = read(fields)
    assert {
        "site:user:9 authored site:post:1 None",
        "site:post:1 contains site:media:a 0",
    } <= edges(record)


@pytest.mark.parametrize(
    "line", ["a text = b", "a = b", "a number = b # X", "a text # ", "nothing", "a text = b..c # X"]
)
def test_a_wrong_declaration_is_said(line: str):
    with pytest.raises(ValueError, match=r"'|Input"):
        source("site", "A site", f"post:\n{line}")
