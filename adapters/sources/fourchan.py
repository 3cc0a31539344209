"""4chan: threads as its JSON API answers them; the folder says which board they are of.

The API names no board inside a thread, and numbers of posts are those of one board: a document lies
in a folder of the board's name (`g/105.json`, `g/105/thread.json`), as archivers write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_id, as_text
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.reading.adapter import SURE, DocumentAdapter, Found, Part
from adapters.sources.reading.documents import Document
from adapters.sources.shapes import reader, shape

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
EXPECTED = "expected a thread of 4chan (`posts` with no, resto, time)"
_BOARD = re.compile(r"[a-z][a-z0-9]{0,4}|3")
_QUOTED = re.compile(r'href="(?:/[a-z0-9]{1,5}/thread/\d+)?#p(\d{1,12})"')


def _split(document: Document) -> Iterator[Found] | None:
    return _posts(document) if _recognises(document.value) else None


def _recognises(value: Any) -> float:
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


ADAPTERS = (
    DocumentAdapter(
        name="4chan",
        tables=(FOURCHAN.table,),
        split=_split,
        expected=EXPECTED,
        recognise=_recognises,
    ),
)
