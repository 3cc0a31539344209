"""4chan: threads as its JSON API and FoolFuuka, its archives, answer them.

FoolFuuka says the board in each post. Of the API's threads the folder says it.

The API names no board inside a thread, and numbers of posts are those of one board: a document lies
in a folder of the board's name (`g/105.json`, `g/105/thread.json`), as archivers write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_id, as_text, dig, mappings
from adapters.sources.columns import recast, source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import add_readers
from adapters.sources.reading.adapter import SURE, DocumentAdapter, Found, Part
from adapters.sources.reading.documents import Document
from adapters.sources.shapes import reader, shape


def _ending(value: Any) -> str | None:
    ending = value.rpartition(".") if isinstance(value, str) else ("", "", "")
    return f".{ending[2]}" if ending[1] else None


add_readers(ending=_ending)
FOURCHAN = source(
    "fourchan",
    "4chan",
    """
    post:
    board text = board # Board
    post_number text = no:id # Number of the post on its board
    thread_number text = thread # Number of the thread
    text text = com:body # Text of the post
    poster_name text = name:unescaped # Name as written, mostly Anonymous
    tripcode text = trip # What proves a name
    poster_id text = id # Id of the poster in this thread
    country text = country # Country code of the poster
    reply_count bigint = replies # Answers, on the first post of a thread
    image_count bigint = images # Pictures, on the first post of a thread
    is_closed boolean = is_closed # Closed
    medium:
    board = ^.board
    post_number = ^.no:id
    file_name text = {filename}{ext} # Name as it was uploaded
    media_url text = url # Address of the file, until the thread ends
    md5 text = md5 # MD5 of the file, in base 64
    width bigint = w # Width in pixels
    height bigint = h # Height in pixels
    size_bytes bigint = fsize # Size of the file
    """,
)
POST = Node(
    "post",
    id="key",
    title="sub:html|com:html",
    time="time",
    author=Person(id="poster", title="name:unescaped", at="person", section="none"),
    media=(Medium(id="key", at="file", urls="url,original", stems="tim:text"),),
    edges=(
        Edge("conversation", "conversation", "thread_key"),
        Edge("reply", "post", "answers"),
    ),
)
RULES = Rules(FOURCHAN, "fourchan", {"post": POST})
SHAPE = shape("post", "no time", "resto com tim now name", at_least=2)
ARCHIVED_SHAPE = shape("post", "num thread_num timestamp board", "comment doc_id media op", 2)
EXPECTED = "expected a thread of 4chan (`posts` with no, resto, time)"
_BOARD = re.compile(r"[a-z][a-z0-9]{0,4}|3")
_QUOTED_IN_TEXT = re.compile(r"(?m)^>>(\d{1,12})\b")
_QUOTED = re.compile(r'href="(?:/[a-z0-9]{1,5}/thread/\d+)?#p(\d{1,12})"')


def _split(document: Document) -> Iterator[Found] | None:
    archived = _archived(document.value)
    if archived:
        return (_of_archive(post) for post in archived)
    return _posts(document) if _recognises(document.value) else None


def _recognises(value: Any) -> float:
    if _archived(value):
        return SURE
    posts = value.get("posts") if isinstance(value, dict) else None
    first = next(iter(posts), None) if isinstance(posts, list) else None
    return SURE if SHAPE.fits(first) and isinstance(first, dict) and "resto" in first else 0.0


def _posts(document: Document) -> Iterator[Found]:
    folders = reversed(document.path.split("/")[:-1])
    board = next((name for name in folders if _BOARD.fullmatch(name)), None)
    if board is None:
        raise RecordError("its board is not told: put it into a folder of the board's name")
    for post in document.value["posts"]:
        if not SHAPE.fits(post):
            yield RecordError(f"no post of 4chan: {str(post)[:80]!a}")
            continue
        yield Part(reader(RULES, "post"), _fields(post, board), post)


def _fields(post: dict[str, Any], board: str) -> dict[str, Any]:
    number = as_id(post.get("no"))
    thread = as_id(post.get("resto")) if post.get("resto") else number
    quoted = dict.fromkeys(_QUOTED.findall(post["com"])) if isinstance(post.get("com"), str) else ()
    fields = post | {
        "board": board,
        "key": f"{board}/{number}" if number else None,
        "thread": thread,
        "thread_key": f"{board}/{thread}" if thread else None,
        "answers": [f"{board}/{one}" for one in quoted if one != number],
        "is_closed": bool(post.get("closed")) or None,
    }
    if not quoted and thread != number:
        fields["answers"] = [f"{board}/{thread}"]
    name, trip = as_text(post.get("name")), as_text(post.get("trip"))
    if trip:
        fields["person"] = [{"poster": f"{name or ''}{trip}", "name": name}]
    tim, ext = as_id(post.get("tim")), as_text(post.get("ext"), 10)
    if tim and ext:
        names = {"key": f"{board}/{tim}", "url": f"https://i.4cdn.org/{board}/{tim}{ext}"}
        names["original"] = f"{as_text(post.get('filename'), 300) or ''}{ext}"
        fields["file"] = [post | names]
    return fields


# ---- FoolFuuka -----------------------------------------------------------------------------------

_ARCHIVED = recast("""
    no = num
    resto = thread_num
    time = timestamp
    sub = title
    com = comment
    name = name
    trip = trip
    id = poster_hash
    country = poster_country
    closed = locked:positive
    tim = media.media_orig:stem|media.media:stem
    filename = media.media_filename:stem
    ext = media.media_filename:ending
    md5 = media.media_hash
    w = media.media_w
    h = media.media_h
    fsize = media.media_size
    url = media.media_link
    """)


def _archived(value: Any) -> list[dict[str, Any]]:
    """Return the posts of a document of FoolFuuka: threads by number, or posts in a list."""
    found: list[dict[str, Any]] = []
    if not isinstance(value, dict):
        members = value if isinstance(value, list) else []
        return [one for one in mappings(members) if ARCHIVED_SHAPE.fits(one)]
    for thread in [value, *mappings(list(value.values()))]:
        if ARCHIVED_SHAPE.fits(thread):
            found.append(thread)
            continue
        posts = thread.get("posts")
        posts = list(posts.values()) if isinstance(posts, dict) else posts
        held = [thread.get("op"), *(posts if isinstance(posts, list) else ())]
        found += [one for one in mappings(held) if ARCHIVED_SHAPE.fits(one)]
    return found


def _of_archive(post: dict[str, Any]) -> Found:
    board = as_text(dig(post, "board", "shortname"), 20)
    if board is None or not _BOARD.fullmatch(board):
        return RecordError("a post of FoolFuuka without the short name of its board")
    fields = _ARCHIVED(post)
    if fields.get("resto") == fields.get("no"):
        fields["resto"] = 0
    quoted = dict.fromkeys(_QUOTED_IN_TEXT.findall(as_text(post.get("comment"), 100_000) or ""))
    told = _fields(fields, board)
    if quoted:
        told["answers"] = [f"{board}/{one}" for one in quoted if one != as_id(fields.get("no"))]
    for file in told.get("file", ()):
        file["url"] = fields.get("url") or file["url"]
    return Part(reader(RULES, "post"), told, post)


ADAPTERS = (
    DocumentAdapter(
        name="4chan",
        tables=(FOURCHAN.table,),
        split=_split,
        expected=EXPECTED,
        recognise=_recognises,
    ),
)
