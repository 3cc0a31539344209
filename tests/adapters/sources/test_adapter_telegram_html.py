"""Telegram Desktop exports as HTML: made-up pages in the markup of the program."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from social_records import check_adapter, links, read, said, write_files

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
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


def test_a_joined_message_has_the_sender_above(tmp_path: Path) -> None:
    told = page(message(5, text("a")), message(6, text("b"), None), message(7, text("c"), "Bob"))
    items = read(HTML, tmp_path, {"m.html": told})
    assert [said(item, f"{POST}/{5 + n}").author for n, item in enumerate(items[1:])] == [
        "telegram:username:ann lee",
        "telegram:username:ann lee",
        "telegram:username:bob",
    ]


def test_dates_of_older_exports_and_other_zones(tmp_path: Path) -> None:
    dates = ("04.03.2022 05:06:07", "04.03.2022 05:06:07 UTC-05:30", "99.99.2022 05:06:07", "soon")
    told = (message(n, text("a"), date=date) for n, date in enumerate(dates))
    items = read(HTML, tmp_path, {"m.html": page(*told)})
    assert [said(item, f"{POST}/{n}").update_time for n, item in enumerate(items[1:])] == [
        datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC),
        datetime(2022, 3, 4, 10, 36, 7, tzinfo=UTC),
        None,
        None,
    ]


def test_replies_and_forwards(tmp_path: Path) -> None:
    reply = '<div class="reply_to details">In reply to <a href="messages2.html#go_to_message3">this</a></div>'  # noqa: E501
    forward = (
        '<div class="pull_left forwarded userpic_wrap"></div><div class="forwarded body">'
        '<div class="from_name">Some News <span class="date details" title="01.01.2020 00:00:00">'
        f"01.01.2020</span></div>{text('old')}</div>"
    )
    items = read(
        HTML, tmp_path, {"m.html": page(message(5, reply + text("x")), message(6, forward))}
    )
    assert f"{POST}/3 -reply-> {POST}/5" in links(items[1])
    assert f"telegram:username:some news -repost-> {POST}/6" in links(items[2])
    row = said(items[2], f"{POST}/6")
    assert (row.title, row.author) == ("old", "telegram:username:ann lee")
    assert row.update_time == datetime(2022, 3, 4, 2, 6, 7, tzinfo=UTC)


def test_media_and_previews(tmp_path: Path) -> None:
    def wrap(inside: str) -> str:
        return f'<div class="media_wrap clearfix">{inside}</div>'

    photo = wrap(
        '<a class="photo_wrap clearfix pull_left" href="photos/photo_1@04-03-2022.jpg">'
        '<img class="photo" src="photos/photo_1@04-03-2022_thumb.jpg"/></a>'
    )
    video = wrap(
        '<a class="video_file_wrap clearfix pull_left" href="video_files/a.mp4">'
        '<div class="video_duration">01:02</div>'
        '<img class="video_file" src="video_files/a.mp4_thumb.jpg"/></a>'
    )
    voice = wrap(
        '<a class="media clearfix pull_left block_link media_voice_message" '
        'href="voice_messages/audio_1.ogg"><div class="body"><div class="title bold">Voice message'
        '</div><div class="status details">00:07</div></div></a>'
    )
    gone = wrap(
        '<div class="media clearfix pull_left media_photo"><div class="body"><div class="title bold">'  # noqa: E501
        'Photo</div><div class="description">Not included.</div></div></div>'
    )
    sticker = wrap(
        '<a class="sticker_wrap clearfix pull_left" href="stickers/s.webp">'
        '<img class="sticker" src="stickers/s.webp_thumb.jpg"/></a>'
    )
    archive = wrap(
        '<a class="media clearfix pull_left block_link media_file" href="files/d.zip">'
        '<div class="body"><div class="title bold">d.zip</div></div></a>'
    )
    bodies = (photo, video, voice, gone, sticker, archive)
    names = (
        *(
            "photos/photo_1@04-03-2022.jpg",
            "photos/photo_1@04-03-2022_thumb.jpg",
            "video_files/a.mp4",
        ),
        *(
            "video_files/a.mp4_thumb.jpg",
            "voice_messages/audio_1.ogg",
            "stickers/s.webp",
            "files/d.zip",
        ),
    )
    files = {f"chat_001/{name}": name.encode() for name in names}
    told = page(*(message(n, body) for n, body in enumerate(bodies)))
    items = read(HTML, tmp_path, {"chat_001/messages.html": told, **files})
    found = [
        {link for link in links(item) if not link.startswith(("telegram:user", CHAT))}
        for item in items[1:]
    ]
    assert found == [
        {
            f"{POST}/0 -contains 0-> file:chat_001/photos/photo_1@04-03-2022.jpg",
            "file:chat_001/photos/photo_1@04-03-2022.jpg -thumbnail-> "
            "file:chat_001/photos/photo_1@04-03-2022_thumb.jpg",
        },
        {
            f"{POST}/1 -contains 0-> file:chat_001/video_files/a.mp4",
            "file:chat_001/video_files/a.mp4 -thumbnail-> file:chat_001/video_files/a.mp4_thumb.jpg",  # noqa: E501
        },
        {f"{POST}/2 -contains 0-> file:chat_001/voice_messages/audio_1.ogg"},
        {f"{POST}/3 -contains 0-> telegram:media:name/Evening walks/3"},
        {f"{POST}/4 -contains 0-> file:chat_001/stickers/s.webp"},
        {f"{POST}/5 -attachment 0-> file:chat_001/files/d.zip"},
    ]
    assert said(items[2], MediaFile("chat_001/video_files/a.mp4")).meta["duration_s"] == 62.0
    assert (
        said(items[3], MediaFile("chat_001/voice_messages/audio_1.ogg")).meta["duration_s"] == 7.0
    )


def test_service_messages_with_a_photo(tmp_path: Path) -> None:
    shown = (
        '<div class="message service" id="message9"><div class="body details">Ann changed the photo</div>'  # noqa: E501
        '<div class="userpic_wrap"><a class="userpic_link" href="photos/p.jpg"><img/></a></div></div>'  # noqa: E501
    )
    items = read(HTML, tmp_path, {"m.html": page(shown), "photos/p.jpg": b"1"})
    assert len(items) == 2
    assert f"{POST}/9 -contains 0-> file:photos/p.jpg" in links(items[1])


def test_other_pages_and_broken_ones(tmp_path: Path) -> None:
    index = '<div class="page_wrap list_page"><div class="page_header"></div></div>'
    nameless = '<div class="page_wrap"><div class="message default" id="message1"></div></div>'
    lost = '<div class="message default clearfix"><div class="body"></div></div>'
    files = {
        "export_results.html": index,
        "a.html": "<p>hi",
        "b.html": nameless,
        "c.html": page(lost),
    }
    items = read(HTML, tmp_path, files)
    assert [(item.path, item.number, type(item).__name__) for item in items] == [
        ("a.html", -1, "Problem"),
        ("b.html", 0, "Problem"),
        ("c.html", 0, "Record"),
        ("c.html", 2, "Problem"),
    ]
    assert isinstance(items[3], Problem)
    assert "no id" in items[3].reason


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
