"""Dead letters: parts of requests whose window could not be stored or described, and their replay.

    ended   the batch of a window failed -> its parts are dead letters, told as `request.failed`
            the batch is described after all, by `run retry` or a replay -> they are done
    replay  payloads, compared with their keys -> a window of their own, signalled, beside the inbox
            -> noted, unless somebody else replays them -> in the inbox
            a crash in between leaves them noted: they are given back when they are looked at

A payload stays in the folder of its window until all that was replayed of it is described.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.receive.laid_out import PREFIX, line_of, new_name, signal
from adapters.receive.named import named_by
from adapters.receive.parts import PARTS_MAX
from adapters.receive.receipts import Receipt, receipt_of
from adapters.receive.receiver import Together
from adapters.records.beneath import open_beneath
from adapters.records.errors import AdapterError, BatchBusyError
from adapters.sources.received import MANIFEST, Line
from adapters.work.batch_work import BatchWork
from base.files import remove_folder, sync_filesystem, sync_folder
from fsd import load_config
from sql import Database, LetterRow, NotFoundError, ReceivedRow

PAYLOAD_BYTES_MAX = 64 << 10
"""So much of a payload is shown."""
REPLACED = "its parts came in by replays of dead letters"


@dataclass(slots=True)
class Replay:
    """What a replay laid into the inbox; `refused` has the dead letters that stay, and why."""

    batches: list[str] = field(default_factory=list[str])
    replayed: int = 0
    refused: dict[int, str] = field(default_factory=dict[int, str])


class _GoneError(AdapterError):
    """A payload that is not there, or not what was accepted."""


# ---- What became of windows ----------------------------------------------------------------------


def settle(config_path: str, database: Database) -> None:
    """Note what became of windows and replays that ended, and free what is not needed any more."""
    for one in database.received.ended():
        if one.reason is None:
            database.received.came_in(one.batch)
        else:
            database.received.failed(one.batch, one.reason, _paths_of)
    database.received.forget_described()
    inbox = load_config(config_path).area_path("3a")
    for batch in database.received.not_begun():
        with contextlib.suppress(BatchBusyError):
            _give_back(database, inbox, batch)
    for batch in database.received.left_behind():
        # Whoever has it will fail or bring it in; it is looked at again.
        with contextlib.suppress(BatchBusyError):
            _remove(database, inbox, batch)


def _paths_of(row: ReceivedRow) -> list[str]:
    receipt = receipt_of(row)
    return [receipt.path_of(place) for place in range(receipt.count)]


def _give_back(database: Database, inbox: str, batch: str) -> None:
    """Open what a replay noted that ended before its folder was in the inbox."""
    with BatchWork(inbox, batch).locked():
        if not os.path.lexists(os.path.join(inbox, batch)):
            database.received.give_back(batch)
            shutil.rmtree(os.path.join(inbox, f".{batch}"), ignore_errors=True)


def _remove(database: Database, inbox: str, batch: str) -> None:
    work = BatchWork(inbox, batch)
    folder = os.path.join(inbox, batch)
    with work.locked():
        with contextlib.suppress(NotFoundError):
            database.ingests.set_state(batch, "stopped", REPLACED)
        if batch.startswith(PREFIX) and os.path.isdir(folder) and not os.path.islink(folder):
            remove_folder(folder)
        work.remove()
    # Last: a crash before it finds nothing to remove the next time.
    database.received.removed(batch)


# ---- Payloads ------------------------------------------------------------------------------------


def payload_of(config_path: str, letter: LetterRow) -> tuple[bytes, int] | None:
    """Return the beginning of a payload, and its size in bytes; None where it is gone."""
    inbox = load_config(config_path).area_path("3a")
    try:
        descriptor = open_beneath(os.path.join(inbox, letter.batch), letter.path)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(PAYLOAD_BYTES_MAX), os.fstat(descriptor).st_size
    except OSError:
        return None


# ---- Replays -------------------------------------------------------------------------------------


def replay(config_path: str, database: Database, letters: Sequence[LetterRow]) -> Replay:
    """Lay the payloads of dead letters into the inbox anew, in windows of their own.

    Files that a replayed object names come along. Whatever cannot be read as it was accepted is
    refused, and stays with the reason.
    """
    done = Replay()
    inbox = load_config(config_path).area_path("3a")

    @functools.cache
    def receipt(request_id: str) -> Receipt:
        row = database.received.request(request_id)
        assert row is not None  # Its dead letters would be gone with it.
        return receipt_of(row)

    together: dict[Together, list[LetterRow]] = {}
    for one in letters:
        of = receipt(one.request_id)
        together.setdefault((of.user, of.source, of.said.priority), []).append(one)
    for (user, source, _), some in together.items():
        for at in range(0, len(some), PARTS_MAX):
            window = _Window(inbox, database, source)
            try:
                for one in some[at : at + PARTS_MAX]:
                    try:
                        window.add(one, receipt(one.request_id))
                    except _GoneError as error:
                        done.refused[one.letter_id] = str(error)
                        database.received.unreadable(one.letter_id, str(error))
                if window.paths and (count := window.publish(user)):
                    done.batches.append(window.name)
                    done.replayed += count
            finally:
                window.discard()
    return done


class _Window:
    """A folder of the inbox that is filled; nobody looks at it before it is published."""

    def __init__(self, inbox: str, database: Database, source: str) -> None:
        self.name = new_name(uuid.uuid4().hex)
        self.paths: dict[int, str] = {}
        """By the numbers of dead letters."""
        self._inbox, self._database, self._source = inbox, database, source
        self._beside = os.path.join(inbox, f".{self.name}")
        self._lines: list[Line] = []
        self._placed: dict[tuple[str, int], str] = {}

    def add(self, letter: LetterRow, receipt: Receipt) -> None:
        """Add a part, and the files that it names. Raises _GoneError without the part."""
        if (receipt.request_id, letter.place) in self._placed:
            return
        named: dict[str, str] = {}
        if receipt.file_of(letter.place) is None and receipt.files:
            with contextlib.closing(_Payload(self._inbox, letter, receipt)) as payload:
                text = payload.whole()
            letters = {
                one.place: one
                for one in self._database.received.letters(request_id=letter.request_id)
            }
            for name, at in named_by(text, receipt.files).items():
                file = letters[receipt.objects + at]
                if file.state == "done":
                    # Where it came in it may be freed; where it failed it lies as long as this.
                    path = receipt.path_of(file.place)
                    file = file.model_copy(update={"batch": receipt.window, "path": path})
                named[name] = self._place(file, receipt, {})
        self._place(letter, receipt, named)

    def _place(self, letter: LetterRow, receipt: Receipt, named: dict[str, str]) -> str:
        known = self._placed.get((receipt.request_id, letter.place))
        if known is not None:
            return known
        path = receipt.path_at(letter.place, len(self._placed))
        target = os.path.join(self._beside, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with contextlib.closing(_Payload(self._inbox, letter, receipt)) as payload:
            payload.link(target)
        self._placed[receipt.request_id, letter.place] = path
        self._lines.append(line_of(receipt, letter.place, path, named))
        if letter.state != "done":
            self.paths[letter.letter_id] = path
        return path

    def publish(self, account: str) -> int:
        """Let the inbox take it, durably; return how many dead letters come in by it.

        None come, and nothing is in the inbox, where somebody else replays all of them.
        """
        with open(os.path.join(self._beside, MANIFEST), "x", encoding="utf-8") as file:
            file.writelines(f"{line.model_dump_json(exclude_none=True)}\n" for line in self._lines)
        signal(self._beside, account, self.name)
        # Barrier: a crash before the name leaves a folder that nobody looks at.
        sync_filesystem(self._beside)
        # Who finds it noted and without a folder gives it back, if nobody holds it.
        with BatchWork(self._inbox, self.name).locked():
            count = self._database.received.replaying(self.name, self.paths)
            if count:
                os.rename(self._beside, os.path.join(self._inbox, self.name))
                sync_folder(self._inbox)
        return count

    def discard(self) -> None:
        """Remove what was not published."""
        shutil.rmtree(self._beside, ignore_errors=True)


class _Payload:
    """A part as it lies in the folder of its batch; links are not followed."""

    def __init__(self, inbox: str, letter: LetterRow, receipt: Receipt) -> None:
        self._letter, self._key = letter, receipt.key_of(letter.place)
        folder, _, self._name = letter.path.rpartition("/")
        try:
            self._folder = open_beneath(
                os.path.join(inbox, letter.batch), folder, os.O_RDONLY | os.O_DIRECTORY
            )
        except OSError as error:
            raise self._gone(error) from error

    def close(self) -> None:
        """Close its folder."""
        os.close(self._folder)

    def whole(self) -> bytes:
        """Return all of it, of an object."""
        try:
            descriptor = open_beneath(f"/proc/self/fd/{self._folder}", self._name)
        except OSError as error:
            raise self._gone(error) from error
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def link(self, target: str) -> None:
        """Give it another name. Raises _GoneError where it is not what was accepted."""
        try:
            os.link(self._name, target, src_dir_fd=self._folder, follow_symlinks=False)
            descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            raise self._gone(error) from error
        with os.fdopen(descriptor, "rb") as file:
            key = hashlib.file_digest(file, "sha256").hexdigest()
        if key != self._key:
            os.unlink(target)
            raise _GoneError("its payload changed since it was accepted; send it again")

    def _gone(self, error: OSError) -> _GoneError:
        return _GoneError(f"its payload cannot be read ({error.strerror}); send it again")
