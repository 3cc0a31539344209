"""Telegram Desktop exports as HTML: it owns reading the pages `messages*.html` by their classes.

A page names no ids of chats and people: a chat is `telegram:conversation:name/<its name>`, a sender
`telegram:username:<name>`. A joined message has no name and belongs to the sender above it. The
`title` of a date has the zone in newer exports, older ones mean UTC here. Each message is turned
into the fields of the JSON export and read by export.py; the preview that a page shows of a
medium is its thumbnail.

Skipped silently: service messages (dates, joins, pins), except those with a photo, and the other
pages of an export (its index, contacts, sessions), which hold no messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bs4 import BeautifulSoup, Tag

from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_text
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder
from adapters.sources.reading.rich_text import text_of_element
from adapters.sources.schemas.telegram import TABLE
from adapters.sources.telegram.export import read_chat, read_message

SUFFIXES = (".html", ".htm")
PAGE_BYTES_MAX = 64 * MIB
SNIFFED_FILES_MAX = 12
SNIFFED_START_BYTES = 64 << 10
MARKS = (b"page_wrap", b"page_header")
PARTS = (b'class="message ', b'class="history"')
MEDIA_TYPES = {
    "voice_message": "voice_message",
    "video_message": "video_message",
    "audio_file": "audio_file",
    "animated": "animation",
    "animation": "animation",
    "sticker": "sticker",
    "video": "video_file",
    "video_file": "video_file",
}
_VIA_BOT = re.compile(r"\s*\bvia @(\w+)$")
_ANSWERED = re.compile(r"go_to_message(\d{1,20})")
_DATE = re.compile(
    r"(\d{1,2})\.(\d{1,2})\.(\d{4}) (\d{1,2}):(\d{2}):(\d{2})(?: UTC([+-]\d{2}):?(\d{2}))?"
)


class TelegramHtml:
    """The adapter; see the module."""

    name = "telegram-html"
    tables = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Tell how sure the folder is of this format, by the beginning of its pages."""
        paths = folder.with_suffix(*SUFFIXES)
        likely = sorted(paths, key=lambda path: "messages" not in path.rpartition("/")[2])
        known = sum(_holds_messages(folder, path) for path in likely[:SNIFFED_FILES_MAX])
        if not known:
            return Sniff(0.0, "no page of a Telegram chat")
        return Sniff(0.95, f"{known} pages of Telegram chats")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the chat and the messages of every page."""
        finder = MediaFinder(folder)
        for path in folder.with_suffix(*SUFFIXES):
            try:
                text = folder.read_text(path, PAGE_BYTES_MAX)
                soup = BeautifulSoup(text, "html.parser")
            except (RecordError, RecursionError, AssertionError, ValueError) as error:
                yield Problem(path, -1, str(error))
                continue
            if soup.find(class_="page_wrap") is None:
                yield Problem(path, -1, "no page of a Telegram export")
            elif soup.find(class_="message") is not None:
                yield from _read_page(path, finder, soup)


def _read_page(path: str, media: MediaFinder, soup: BeautifulSoup) -> Iterator[Record | Problem]:
    """Yield the records of a page; number 0 is the chat, the messages count from 1."""
    header = soup.select_one(".page_header .text")
    name = text_of_element(header) if header else None
    if name is None:
        yield Problem(path, 0, "the page does not name its chat, so its messages have no id")
        return
    chat = {"id": f"name/{name}", "name": name, "type": "unknown"}
    shown = {"name": name}
    draft = Draft(TABLE.name, path, media)
    read_chat(draft, chat | {"type": None})
    yield draft.record(0, shown)
    sender: str | None = None
    for number, element in enumerate(soup.find_all("div", class_="message"), 1):
        complete = str(element)
        try:
            raw = fields_of(element, sender)
            sender = raw.get("from")
            if raw["type"] == "service" and not raw.get("photo"):
                continue
            draft = Draft(TABLE.name, path, media)
            read_message(draft, raw, chat)
            yield draft.record(number, complete)
        except (RecordError, RecursionError) as error:
            yield Problem(path, number, str(error))


def fields_of(element: Tag, sender: str | None) -> dict[str, Any]:
    """Return the fields of the JSON export of one message; `sender` wrote the one above it."""
    classes = element.get("class") or []
    if "service" in classes:
        photo = element.select_one("a.userpic_link, a.photo_wrap")
        fields: dict[str, Any] = {"type": "service", "from": sender}
        if photo is not None:
            fields |= {"photo": photo.get("href"), "actor": None, "from": None}
        return fields | {"id": _id_of(element)}
    body = element.find("div", class_="body", recursive=False) or element
    forwarded = body.select_one("div.forwarded.body")
    name = body.find("div", class_="from_name", recursive=False)
    date = body.find("div", class_="date", recursive=False) or body.find(class_="date")
    fields = {
        "type": "message",
        "id": _id_of(element),
        "date_unixtime": _epoch_of(date.get("title")) if isinstance(date, Tag) else None,
        "from": text_of_element(name) if isinstance(name, Tag) else sender,
    }
    if bot := _VIA_BOT.search(fields["from"] or ""):
        fields |= {"from": fields["from"][: bot.start()] or None, "via_bot": f"@{bot[1]}"}
    reply = body.find("div", class_="reply_to")
    link = reply.find("a") if isinstance(reply, Tag) else None
    answered = _ANSWERED.search(str(link.get("href"))) if isinstance(link, Tag) else None
    if answered:
        fields["reply_to_message_id"] = answered.group(1)
    if isinstance(forwarded, Tag):
        fields["forwarded_from"] = _forwarded_from(forwarded)
    signature = body.find("div", class_="signature")
    if isinstance(signature, Tag):
        fields["author"] = text_of_element(signature)
    return fields | _media_of(body) | _text_of(body)


def _id_of(element: Tag) -> str | None:
    digits = str(element.get("id")).removeprefix("message")
    return digits if digits.isascii() and digits.isdigit() else None


def _forwarded_from(forwarded: Tag) -> str | None:
    name = forwarded.find("div", class_="from_name")
    if not isinstance(name, Tag):
        return None
    for date in name.find_all(class_="date"):
        date.decompose()
    return _VIA_BOT.sub("", text_of_element(name) or "") or None


def _text_of(body: Tag) -> dict[str, Any]:
    text = body.find("div", class_="text")
    if not isinstance(text, Tag):
        return {}
    entities: list[dict[str, Any]] = []
    for link in text.find_all("a"):
        address, shown = str(link.get("href")), link.get_text()
        if shown.startswith("#"):
            entities.append({"type": "hashtag", "text": shown})
        elif shown.startswith("@"):
            entities.append({"type": "mention", "text": shown})
        elif address.startswith(("http://", "https://")):
            entities.append({"type": "text_link", "text": shown or address, "href": address})
    return {"text": text_of_element(text), "text_entities": entities}


def _media_of(body: Tag) -> dict[str, Any]:
    """Return the file of a message, its preview, and what it is."""
    wrap = body.find("div", class_="media_wrap")
    if not isinstance(wrap, Tag):
        return {}
    holder = wrap.find(["a", "div"], class_=re.compile(r"^(media|\w+_wrap)$"))
    holder = holder if isinstance(holder, Tag) else wrap
    classes = " ".join(holder.get("class") or [])
    kinds = [word.removeprefix("media_").removesuffix("_wrap") for word in classes.split()]
    path = as_text(holder.get("href"))
    told = holder.find(class_="title")
    if path is None and (told is None or {"contact", "location", "poll", "call"} & set(kinds)):
        return {}
    key = "photo" if "photo" in kinds else "file"
    fields: dict[str, Any] = {key: path or "(File not included.)"}
    kind = next((MEDIA_TYPES[word] for word in kinds if word in MEDIA_TYPES), None)
    if kind:
        fields["media_type"] = kind
    image = holder.find("img")
    if isinstance(image, Tag):
        fields["thumbnail"] = as_text(image.get("src"))
    length = holder.find(class_=re.compile(r"^(video_duration|status)$"))
    if isinstance(length, Tag):
        fields["duration_seconds"] = _seconds_of(length.get_text())
    return fields


def _seconds_of(text: str) -> int | None:
    found = re.match(r"\s*(?:(\d{1,3}):)?(\d{1,2}):(\d{2})\b", text)
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3_600 + minutes * 60 + seconds


def _epoch_of(title: Any) -> int | None:
    """Return epoch seconds of a date such as 23.03.2022 02:12:10 UTC+03:00."""
    found = _DATE.search(title) if isinstance(title, str) else None
    if found is None:
        return None
    day, month, year, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset_minutes = 0
    if found.group(7):
        sign = -1 if found.group(7).startswith("-") else 1
        offset_minutes = sign * (abs(int(found.group(7))) * 60 + int(found.group(8)))
    try:
        moment = datetime.fromisoformat(
            f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}+00:00"
        )
    except ValueError:
        return None
    return int(moment.timestamp()) - offset_minutes * 60


def _holds_messages(folder: ScrapeFolder, path: str) -> bool:
    with folder.open(path) as file:
        start = file.read(SNIFFED_START_BYTES)
    return all(mark in start for mark in MARKS) and any(part in start for part in PARTS)


ADAPTERS = (TelegramHtml(),)
