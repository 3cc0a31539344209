"""Receiving: requests are made durable on the SSD, gathered in windows, and laid into the inbox.

    upload   files of a request -> 3a/.receive/REQUEST, hashed as they come, synced
    accept   parts checked -> record in `requests`, synced -> told
    tick     window idle, old or full -> record in `windows` -> folder in the inbox, synced and
             renamed -> `published` in `windows` -> `_READY.json` -> record of `requests` forgotten,
             and the files in `.receive`, which are links to those of the folder by then

Killed anywhere, the next start goes on: a request in no window is gathered anew, a window that is
not published is laid out again, one without its signal is signalled. From then on the folder is an
ingest batch as any other. One process has it open.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from adapters.receive.laid_out import has_files, lines_of, signal, window_of
from adapters.receive.named import check_names
from adapters.receive.parts import PARTS_MAX, check_said, check_source, parts_of
from adapters.receive.receipts import (
    NOTHING_SAID,
    Receipt,
    Said,
    Window,
    close,
    keys_of,
    published_record,
    read_request,
    read_window,
    request_record,
    window_record,
)
from adapters.receive.room import Room
from adapters.receive.upload import Upload, name_of, sweep
from adapters.receive.upload import folder_of as upload_folder
from adapters.records.errors import SpaceError
from adapters.sources.received import MANIFEST, Line
from base.errors import UsageError
from base.files import sync_filesystem, sync_folder
from base.journal.journal import Journal, JournalError
from fsd import load_config
from sql import BusyError, KeyReusedError

FOLDER = "receive"
IDLE_S = 2.0
AGE_S_MAX = 10.0
SIZE_BYTES_MAX = 256 << 20
"""Of the files of a window; one request may have more."""
KEPT_S = 7 * 86_400.0
"""So long it is known what became of a request, and which key it had."""
KEPT_MAX = 200_000
"""Of so many requests, the newest, some 800 bytes each and 32 a part."""

Together = tuple[str, str, int | None]
"""Whose, of which source, and with which priority: what is gathered together."""


@dataclass(slots=True)
class _Gathering:
    """Requests that will be a window."""

    receipts: list[Receipt] = field(default_factory=list[Receipt])
    began_s: float = 0.0
    last_s: float = 0.0
    count: int = 0
    size_bytes: int = 0
    is_urgent: bool = False

    def is_due(self, now_s: float) -> bool:
        return (
            self.is_urgent
            or self.size_bytes >= SIZE_BYTES_MAX
            or now_s - self.last_s >= IDLE_S
            or now_s - self.began_s >= AGE_S_MAX
            or self.count >= PARTS_MAX
        )


class Receiver:
    """What receives for a store; close it at the end. `tick` has one caller, the rest any."""

    def __init__(self, config_path: str) -> None:
        """Open it, and take up what a process before was killed in.

        Raises JournalError: JournalBusyError while another process receives, JournalDamagedError.
        """
        config = load_config(config_path)
        self.inbox = config.area_path("3a")
        self.room = Room(self.inbox, config.ssd, config.quota.inbox_bytes)
        folder = folder_of(config_path)
        # Guards all below but the journals; held for moments, and innermost.
        self._lock = threading.Lock()
        self._known: dict[str, Receipt] = {}
        self._keyed: dict[tuple[str, str], Receipt] = {}
        self._gathering: dict[Together, _Gathering] = {}
        self._closed: list[Window] = []
        # By request: the last record there was before its own was begun.
        self._begun: dict[str, int] = {}
        # By number: durable, and not known to be in the database.
        self._untold: dict[int, Receipt] = {}
        # Their records were not told, and may be read again until one behind a number is durable.
        self._doubtful: list[tuple[int, Upload]] = []
        self._requests = Journal(os.path.join(folder, "requests"))
        try:
            self._windows = Journal(os.path.join(folder, "windows"))
        except BaseException:
            self._requests.close()
            raise
        try:
            self._take_up()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; what is gathered is taken up by the next."""
        self._requests.close()
        self._windows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def upload(self) -> Upload:
        """Begin the files of a request. SpaceError while there is no room."""
        self.room.check()
        return Upload(self.inbox, uuid.uuid4().hex, self.room)

    def accept(
        self,
        account: str,
        source: str,
        body: bytes,
        *,
        is_lines: bool = False,
        key: str | None = None,
        owner: str = "",
        said: Said = NOTHING_SAID,
        upload: Upload | None = None,
    ) -> tuple[Receipt, bool]:
        """Accept a request; durable on return. Tells whether its key had been there before.

        `upload` has its files, and is discarded where they are not wanted; without objects the body
        is empty.

        UsageError for what cannot be taken, SpaceError while the SSD is full, KeyReusedError for a
        key of another request, JournalError when it could not be made durable.
        """
        try:
            return self._accept(
                _receipt_of(account, source, key, owner, said, upload),
                body,
                is_lines=is_lines,
                upload=upload,
            )
        except BaseException:
            if upload is not None and not self._is_doubtful(upload):
                upload.discard()
            raise

    def _accept(
        self, receipt: Receipt, body: bytes, *, is_lines: bool, upload: Upload | None
    ) -> tuple[Receipt, bool]:
        check_source(receipt.source)
        check_said(receipt.said, [one.content_type for one in receipt.files])
        parts = parts_of(body, is_lines=is_lines) if body or not receipt.files else []
        if len(parts) + len(receipt.files) > PARTS_MAX:
            raise UsageError(f"more than {PARTS_MAX:,} parts; send them in several requests")
        if receipt.files:
            check_names(parts, receipt.files)
        receipt.keys = keys_of(parts) + receipt.keys
        receipt.digest = _digest(receipt, body, is_lines=is_lines)
        former = self._begin(receipt)
        if former is not None:
            if upload is not None:
                upload.discard()
            return _of_key(former, receipt.digest), True
        try:
            self.room.check()
            if upload is not None:
                # Barrier: a crash before the record leaves files that the next start removes.
                upload.finish()
            (receipt.sequence,) = self._requests.append(request_record(receipt, parts))
            self._discard_doubtful(receipt.sequence)
        except JournalError as error:
            if upload is not None:
                with self._lock:
                    self._doubtful.append((self._requests.last, upload))
            raise _full_or(error) from error
        finally:
            self._end(receipt)
        return receipt, False

    def find(self, request_id: str) -> Receipt | None:
        """Return a request that was accepted in the last days."""
        with self._lock:
            return self._known.get(request_id)

    def newest(self, account: str | None = None, before: str = "") -> list[Receipt]:
        """Return the requests of an account, or of all, the newest first; those before one."""
        with self._lock:
            known = list(self._known.values())
        found = sorted(known, key=lambda one: (-one.time_s, one.request_id))
        places = {one.request_id: place for place, one in enumerate(found)}
        behind = found[places[before] + 1 :] if before in places else found
        return [one for one in behind if account in (None, one.account)]

    def untold(self, after: int, limit: int) -> tuple[list[Receipt], int]:
        """Return requests behind a number in their order, and the number that this leads to.

        None that is still being accepted will have one up to that. What lies up to `after` is not
        kept any more, unless that was never given: then it is of another journal.
        """
        with self._lock:
            last = self._requests.last
            through = min([last, *self._begun.values()])
            if after <= last:
                self._untold = {at: one for at, one in self._untold.items() if at > after}
            numbers = sorted(one for one in self._untold if one <= through)[:limit]
            through = numbers[-1] if len(numbers) == limit else through
            return [self._untold[number] for number in numbers], through

    def of_key(self, account: str, key: str) -> Receipt | None:
        """Return the request that an account sent with a key, once it is durable."""
        with self._lock:
            found = self._keyed.get((account, key))
        return found if found is not None and found.sequence else None

    def tick(self, now_s: float | None = None) -> None:
        """Close the windows that are due, and lay them into the inbox."""
        now_s = time.monotonic() if now_s is None else now_s
        with self._lock:
            due = [together for together, one in self._gathering.items() if one.is_due(now_s)]
        for together in due:
            self._close_window(together, now_s)
        is_any = bool(self._closed)
        failed: Exception | None = None
        for window in list(self._closed):
            try:
                self._publish(window)
            except Exception as error:
                failed = failed or error  # The others come in; this one is tried again.
        if failed is not None:
            raise failed
        if is_any:
            self._forget_requests()
            with self._lock:
                self._drop_old()

    # ---- Accepting ---------------------------------------------------------------------------

    def _begin(self, receipt: Receipt) -> Receipt | None:
        """Claim the key of a request, or return the request that has it."""
        with self._lock:
            pair = (receipt.account, receipt.key or "")
            former = self._keyed.get(pair) if receipt.key else None
            if former is None:
                if receipt.key:
                    self._keyed[pair] = receipt
                self._begun[receipt.request_id] = self._requests.last
        return former

    def _end(self, receipt: Receipt) -> None:
        with self._lock:
            del self._begun[receipt.request_id]
            if receipt.sequence:
                self._known[receipt.request_id] = receipt
                self._untold[receipt.sequence] = receipt
                self._gather([receipt], time.monotonic())
            elif receipt.key:
                del self._keyed[receipt.account, receipt.key]
        receipt.has_been_tried()

    def _discard_doubtful(self, sequence: int) -> None:
        """Discard those whose number a record has by now that is durable."""
        with self._lock:
            gone = [upload for behind, upload in self._doubtful if behind < sequence]
            self._doubtful = [one for one in self._doubtful if one[0] >= sequence]
        for upload in gone:
            upload.discard()

    def _is_doubtful(self, upload: Upload) -> bool:
        with self._lock:
            return any(one is upload for _, one in self._doubtful)

    def _gather(self, receipts: Iterable[Receipt], now_s: float) -> None:
        for one in receipts:
            together = (one.user, one.source, one.said.priority)
            gathering = self._gathering.setdefault(together, _Gathering(began_s=now_s))
            gathering.receipts.append(one)
            gathering.count += one.count
            gathering.size_bytes += sum(each.size_bytes for each in one.files)
            gathering.is_urgent |= one.said.is_urgent
            gathering.last_s = now_s

    # ---- Windows -----------------------------------------------------------------------------

    def _close_window(self, together: Together, now_s: float) -> None:
        with self._lock:
            window = window_of(together[:2], self._gathering.pop(together).receipts)
            self._closed.append(window)
        try:
            # Barrier: from here on these requests are this window, whatever comes.
            self._windows.append(window_record(window))
        except JournalError:
            # Nobody was told of it: its requests are gathered again.
            with self._lock:
                self._closed.remove(window)
                self._gather(window.receipts, now_s)
            raise
        with self._lock:
            close(window)

    def _publish(self, window: Window) -> None:
        """Lay a closed window into the inbox; safe to repeat, whatever a run before did of it."""
        folder = os.path.join(self.inbox, window.name)
        if not os.path.isdir(folder):
            self._lay_out(window, folder)
        # Barrier: nobody takes the folder before this says that it need not be laid out again.
        self._windows.append(published_record(window))
        window.is_published = True
        signal(folder, window.account)
        for one in window.receipts:
            if one.files:
                # They have their names in the window, durably; a crash leaves it to the next start.
                shutil.rmtree(upload_folder(self.inbox, one.request_id), ignore_errors=True)
        with self._lock:
            self._closed.remove(window)

    def _lay_out(self, window: Window, folder: str) -> None:
        beside = os.path.join(self.inbox, f".{window.name}")
        shutil.rmtree(beside, ignore_errors=True)
        # The folder of the files names what they are: see JsonAdapter.
        inner = os.path.join(beside, window.source)
        os.makedirs(inner)
        wanted = {one.sequence: one for one in window.receipts}
        lines: list[Line] = []
        for record in self._requests.records(after=min(wanted) - 1):
            receipt = wanted.pop(record.sequence, None)
            if receipt is None:
                continue
            _, parts = read_request(record.payload, record.sequence)
            for place, part in enumerate(parts):
                with open(os.path.join(beside, receipt.path_of(place)), "xb") as file:
                    file.write(part)
            came = upload_folder(self.inbox, receipt.request_id)
            for place in range(len(receipt.files)):
                path = receipt.path_of(receipt.objects + place)
                os.link(os.path.join(came, name_of(place)), os.path.join(beside, path))
            lines += lines_of(receipt, parts)
            if not wanted:
                break
        if wanted:
            raise JournalError(f"requests of {window.name} are not in the journal: {wanted}")
        if any(one.files or one.said != NOTHING_SAID for one in window.receipts):
            with open(os.path.join(beside, MANIFEST), "x", encoding="utf-8") as file:
                file.writelines(f"{line.model_dump_json(exclude_none=True)}\n" for line in lines)
        # Barrier: a crash before the name leaves a folder that nobody looks at.
        sync_filesystem(beside)
        os.rename(beside, folder)
        sync_folder(self.inbox)

    def _forget_requests(self) -> None:
        last = self._requests.last
        with self._lock:
            waiting = [one for each in self._gathering.values() for one in each.receipts]
            waiting += [one for window in self._closed for one in window.receipts]
            needed = [one.sequence - 1 for one in waiting]
            through = min([last, *needed, *self._begun.values()])
        self._requests.forget(through)

    def _drop_old(self) -> None:
        """Know no more of the oldest requests than what came in of them; `_lock` is held."""
        waiting = {one.request_id for each in self._gathering.values() for one in each.receipts}
        waiting |= {one.request_id for window in self._closed for one in window.receipts}
        oldest_s, spare = time.time() - KEPT_S, len(self._known) - KEPT_MAX
        gone: list[Receipt] = []
        for one in self._known.values():  # As they came.
            if spare <= len(gone) and one.time_s >= oldest_s:
                break
            if one.request_id not in waiting:
                gone.append(one)
        for one in gone:
            del self._known[one.request_id]
            self._untold.pop(one.sequence, None)
            if one.key and self._keyed.get((one.account, one.key)) is one:
                del self._keyed[one.account, one.key]

    # ---- Taking up ---------------------------------------------------------------------------

    def _take_up(self) -> None:
        windows = self._read_windows()
        in_windows: set[int] = set()
        for window in windows.values():
            in_windows.update(one.sequence for one in window.receipts)
            self._remember(window.receipts)
            folder = os.path.join(self.inbox, window.name)
            if not window.is_published:
                self._closed.append(window)
            elif has_files(window, folder):
                signal(folder, window.account)
        for record in self._requests.records():
            if record.sequence in in_windows:
                continue
            receipt, _ = read_request(record.payload, record.sequence)
            self._remember([receipt])
            self._gather([receipt], time.monotonic())
        waiting = [one for each in self._gathering.values() for one in each.receipts]
        waiting += [one for window in self._closed for one in window.receipts]
        sweep(self.inbox, {one.request_id for one in waiting})
        self._drop_old()

    def _read_windows(self) -> dict[str, Window]:
        """Return the windows, less those that are old and of which no request is left to read."""
        first = next((one.sequence for one in self._requests.records()), self._requests.last + 1)
        windows: dict[str, Window] = {}
        through, is_old = 0, True
        for record in self._windows.records():
            said = read_window(record.payload)
            if isinstance(said, str):
                if said in windows:
                    windows[said].is_published = True
                continue
            windows[said.name] = said
            newest = max(one.sequence for one in said.receipts)
            is_old = is_old and said.time_s < time.time() - KEPT_S and newest < first
            if is_old:
                through = record.sequence
        self._windows.forget(through)
        return windows

    def _remember(self, receipts: Iterable[Receipt]) -> None:
        for one in receipts:
            self._known[one.request_id] = one
            self._untold[one.sequence] = one
            if one.key:
                self._keyed[one.account, one.key] = one


def folder_of(config_path: str) -> str:
    """Return where a store keeps what it received and did not lay into the inbox yet."""
    return os.path.join(load_config(config_path).ssd, FOLDER)


def _receipt_of(
    account: str, source: str, key: str | None, owner: str, said: Said, upload: Upload | None
) -> Receipt:
    """Return the receipt of a request as far as its files are known."""
    files = tuple(upload.files) if upload else ()
    return Receipt(
        upload.request_id if upload else uuid.uuid4().hex,
        account,
        source,
        key,
        "",
        time.time(),
        b"".join(bytes.fromhex(one.key) for one in files),
        "" if owner == account else owner,
        said,
        files,
    )


def _digest(receipt: Receipt, body: bytes, *, is_lines: bool) -> str:
    """Return what makes a request the same as another of its key."""
    found = hashlib.sha256(b"\0".join((receipt.source.encode(), b"%d" % is_lines, body)))
    if receipt.owner or receipt.files or receipt.said != NOTHING_SAID:
        files = [one.model_dump(mode="json") for one in receipt.files]
        rest = [receipt.owner, receipt.said.digested(), files]
        found.update(b"\0" + json.dumps(rest, sort_keys=True).encode())
    return found.hexdigest()


def _of_key(former: Receipt, digest: str) -> Receipt:
    if former.digest != digest:
        raise KeyReusedError("this Idempotency-Key stands for another request; take a new one")
    former.is_tried.wait()
    if not former.sequence:
        raise BusyError("the same request could not be made durable; send it again")
    return former


def _full_or(error: JournalError) -> Exception:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpaceError("the SSD is full; nothing was taken: send it again when there is room")
    return error
