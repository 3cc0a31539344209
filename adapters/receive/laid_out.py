"""The folder of a window in the inbox: its name, what is beside its parts, and its signal."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable

from adapters.receive.named import named_by
from adapters.receive.parts import JSON_SOURCE
from adapters.receive.receipts import Receipt, Window
from adapters.sources.received import Line
from adapters.work.batch_work import READY_NAME
from base.files import write_json_durably

PREFIX = "received-"


def window_of(pair: tuple[str, str], receipts: list[Receipt]) -> Window:
    """Return the window of requests of one account and source, named by now."""
    account, source = pair
    now_s = time.time()
    said = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_s))
    name = f"{PREFIX}{said}-{receipts[0].request_id[:12]}"
    return Window(name, account, source, now_s, receipts)


def lines_of(receipt: Receipt, parts: list[bytes]) -> Iterable[Line]:
    """Yield what is written beside the parts of a request."""
    said = receipt.said
    for place in range(receipt.count):
        file = receipt.files[place - receipt.objects] if place >= receipt.objects else None
        named = named_by(parts[place], receipt.files) if file is None and receipt.files else {}
        yield Line(
            path=receipt.path_of(place),
            request=receipt.request_id,
            account=receipt.account,
            source=receipt.source,
            file_name=file.file_name if file else None,
            content_type=file.content_type if file else None,
            named={name: receipt.path_of(receipt.objects + at) for name, at in named.items()},
            comments=said.comments,
            priority=said.priority,
            context=said.upload_context,
            collection=said.collection,
            tags=said.tags,
        )


def signal(window: Window, folder: str) -> None:
    """Let the inbox take a folder; nothing where it came in already."""
    path = os.path.join(folder, READY_NAME)
    with contextlib.suppress(FileNotFoundError):  # It came in and is freed.
        if not os.path.lexists(path):
            ready = {"batch": window.name, "format": JSON_SOURCE, "user": window.account}
            write_json_durably(path, ready)


def has_files(window: Window, folder: str) -> bool:
    """Tell whether parts of a window are in its folder."""
    try:
        return bool(os.listdir(os.path.join(folder, window.source)))
    except FileNotFoundError:
        return False
