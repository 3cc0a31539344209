"""Telegram Desktop exports as HTML: made-up pages in the markup of the program."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from social_records import check_adapter, links, read, said, write_files

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
from adapters.sources.telegram.html import ADAPTERS

HTML = ADAPTERS[0]
CHAT = "telegram:conversation:name/Evening walks"
POST = "telegram:post:name/Evening walks"


def page(*messages: str, name: str = "Evening walks") -> str:
    return f"""<!DOCTYPE html><html><head><meta charset="utf-8"/><title>Exported Data</title></head>
 <body onload="CheckLocation();"><div class="page_wrap">
  <div class="page_header"><div class="content"><div class="text bold">
{name}
  </div></div></div>
  <div class="page_body chat_page"><div class="history">
   <div class="message service" id="message-1"><div class="body details">4 March 2022</div></div>
   {"".join(messages)}
  </div></div></div></body></html>"""


def message(number: int, body: str, name: str | None = "Ann Lee", date: str = "") -> str:
    title = date or "04.03.2022 05:06:07 UTC+03:00"
    sender = f'<div class="from_name">\n{name}\n</div>' if name else ""
    joined = "" if name else " joined"
    return f"""<div class="message default clearfix{joined}" id="message{number}">
     <div class="pull_left userpic_wrap"><div class="userpic"><div class="initials">A</div></div></div>
     <div class="body"><div class="pull_right date details" title="{title}">05:06</div>
     {sender}{body}</div></div>"""  # noqa: E501


def text(html: str) -> str:
    return f'<div class="text">\n{html}\n</div>'


def test_a_page(tmp_path: Path) -> None:
    told = message(5, text('Hello <strong>you</strong><br>two <a href="" onclick="">#Cats</a>'))
    items = read(HTML, tmp_path, {"messages.html": page(told)})
    assert [(item.number, item.subject) for item in items if isinstance(item, Record)] == [
        (0, CHAT),
        (2, f"{POST}/5"),
    ]
    assert said(items[0], CHAT).title == "Evening walks"
    assert links(items[1]) == {
        f"telegram:username:ann lee -authored-> {POST}/5",
        f"{CHAT} -conversation-> {POST}/5",
        f"telegram:tag:cats -tagged-> {POST}/5",
    }
    row = said(items[1], f"{POST}/5")
    assert (row.title, row.author) == ("Hello you\ntwo #Cats", "telegram:username:ann lee")
    assert row.update_time == datetime(2022, 3, 4, 2, 6, 7, tzinfo=UTC)
    assert isinstance(items[1], Record)
    assert items[1].complete.startswith('<div class="message default clearfix"')
    assert HTML.sniff(ScrapeFolder.of(str(tmp_path))).confidence >= 0.9


WHOLE = page(
    message(
        5, '<div class="reply_to details"><a href="#go_to_message3">x</a></div>' + text("a<br>b")
    ),
    message(
        6, '<div class="media_wrap"><a class="photo_wrap" href="p.jpg"><img src="t.jpg"/></a></div>'
    ),
    message(7, '<div class="forwarded body"><div class="from_name">N</div></div>', None),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(WHOLE)),
            st.integers(0, 60),
            st.sampled_from(
                ["", "<", '">', "</div>", "<div>" * 50, "\0", "&#xD800;", '" href="../x']
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_mutated_pages_never_raise(changes: list[tuple[int, int, str]]) -> None:
    html = WHOLE
    for begin, length, put in changes:
        html = html[:begin] + put + html[begin + length :]
    with tempfile.TemporaryDirectory() as root:
        write_files(Path(root), {"messages.html": html, "p.jpg": b"x"})
        check_adapter(HTML, root)
