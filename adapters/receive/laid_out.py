"""The folder of a window in the inbox: its name, what is beside its parts, and its signal."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping

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
    return Window(new_name(receipts[0].request_id), account, source, time.time(), receipts)


def lines_of(receipt: Receipt, parts: list[bytes]) -> Iterable[Line]:
    """Yield what is written beside the parts of a request; `parts` are its objects."""
    for place in range(receipt.count):
        is_object = place < receipt.objects and receipt.files
        named = named_by(parts[place], receipt.files) if is_object else {}
        paths = {name: receipt.path_of(receipt.objects + at) for name, at in named.items()}
        yield line_of(receipt, place, receipt.path_of(place), paths)


def line_of(receipt: Receipt, place: int, path: str, named: Mapping[str, str]) -> Line:
    """Return what is written beside a part that lies at this path, as do the files it names."""
    said = receipt.said
    file = receipt.file_of(place)
    return Line(
        path=path,
        request=receipt.request_id,
        account=receipt.account,
        source=receipt.source,
        file_name=file.file_name if file else None,
        content_type=file.content_type if file else None,
        named=dict(named),
        comments=said.comments,
        priority=said.priority,
        context=said.upload_context,
        collection=said.collection,
        tags=said.tags,
    )


def new_name(request_id: str) -> str:
    """Return the name of a window that is closed now; the request makes it unlike others."""
    return f"{PREFIX}{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{request_id[:12]}"


def signal(folder: str, account: str, name: str = "") -> None:
    """Let the inbox take a window for an account; nothing where it came in already.

    `name` is that of the window, where the folder has it later.
    """
    path = os.path.join(folder, READY_NAME)
    with contextlib.suppress(FileNotFoundError):  # It came in and is freed.
        if not os.path.lexists(path):
            batch = name or os.path.basename(folder)
            write_json_durably(path, {"batch": batch, "format": JSON_SOURCE, "user": account})


def has_files(window: Window, folder: str) -> bool:
    """Tell whether parts of a window are in its folder."""
    try:
        return bool(os.listdir(os.path.join(folder, window.source)))
    except FileNotFoundError:
        return False
