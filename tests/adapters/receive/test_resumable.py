"""Uploads that are resumed: they go on at the byte after a kill, and are accepted once."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from typing import Any

import pytest
from store_harness import Store

from adapters.receive import resumable as resumable_module
from adapters.receive import room as room_module
from adapters.receive.laid_out import PREFIX
from adapters.receive.receipts import Said
from adapters.receive.receiver import FOLDER as JOURNALS
from adapters.receive.receiver import Receiver
from adapters.receive.resumable import FOLDER, About, ChecksumError, OffsetError, Resumables
from adapters.receive.upload import FOLDER as UPLOADS
from adapters.records.errors import SpaceError
from base.errors import UsageError
from sql import BusyError, NotFoundError

BARRIERS = ("fdatasync", "fsync", "rename", "replace", "unlink", "link", "write", "ftruncate")
DATA = b"begin, middle, end"
LATER_S = 1e12


@pytest.fixture
def place(store: Callable[..., Store]) -> Store:
    return store(started=False)


def about(size: int, *, is_partial: bool = False) -> About:
    return About(
        account="ann", length_bytes=size, is_partial=is_partial, file_name="a.txt", source="texts",
        said=Said(comments="resumed"),
    )  # fmt: skip


def send(uploads: Resumables, upload_id: str, data: bytes, digest: bytes | None = None) -> int:
    offset = uploads.offset(upload_id, "ann")
    piece = uploads.append(upload_id, "ann", offset, "sha1" if digest else "", digest or b"")
    try:
        piece.write(data)
        piece.check()
    finally:
        piece.close()
    return piece.offset


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def lying(place: Store, folder: str) -> list[str]:
    path = os.path.join(place.config.area_path("3a"), folder)
    return os.listdir(path) if os.path.isdir(path) else []


def came_in(place: Store) -> list[bytes]:
    """Return the files of all windows."""
    inbox, found = place.config.area_path("3a"), list[bytes]()
    for name in os.listdir(inbox):
        if name.startswith(PREFIX):
            for file in os.listdir(os.path.join(inbox, name, "texts")):
                with open(os.path.join(inbox, name, "texts", file), "rb") as opened:
                    found.append(opened.read())
    return found


def test_pieces_become_a_request_and_what_is_wrong_is_not_kept(place: Store):
    with Receiver(place.config_path) as receiver:
        uploads = Resumables(receiver)
        one = uploads.create(about(len(DATA)))
        assert send(uploads, one, DATA[:5], sha1(DATA[:5])) == 5
        with pytest.raises(ChecksumError):
            send(uploads, one, b"wrong", sha1(DATA[5:10]))
        assert uploads.offset(one, "ann") == 5
        with pytest.raises(OffsetError):
            uploads.append(one, "ann", 4)
        with pytest.raises(UsageError, match="more came"):
            send(uploads, one, DATA)
        with pytest.raises(UsageError, match="no checksum"):
            uploads.append(one, "ann", 5, "sha0")
        with pytest.raises(NotFoundError):
            uploads.offset(one, "ben")
        for upload_id in ("../up", "0" * 32, ""):
            with pytest.raises(NotFoundError):
                uploads.offset(upload_id, "ann")
        piece = uploads.append(one, "ann", 5)
        with pytest.raises(BusyError):
            uploads.offset(one, "ann")
        piece.close()
        assert uploads.finish(one, "ann") is None, "it is not whole"
        send(uploads, one, DATA[5:])
        receipt = uploads.finish(one, "ann")
        assert receipt is not None and receipt.files[0].file_name == "a.txt"
        assert receipt.system_ids(9) == [hashlib.sha256(DATA).hexdigest()]
        assert uploads.accepted(one, "ann") == receipt and lying(place, FOLDER) == []
        with pytest.raises(NotFoundError):
            uploads.offset(one, "ann")
        gone = uploads.create(about(3))
        uploads.remove(gone, "ann")
        assert lying(place, FOLDER) == []
        receiver.tick(LATER_S)
    assert came_in(place) == [DATA] and lying(place, UPLOADS) == []


def test_no_key_of_a_client_is_taken_for_an_upload(place: Store):
    with Receiver(place.config_path) as receiver:
        uploads = Resumables(receiver)
        one = uploads.create(about(len(DATA)))
        for key in (f"upload {one}", one):
            receiver.accept("ann", "texts", b'{"id": 1}', key=key)
        assert uploads.accepted(one, "ann") is None
        send(uploads, one, DATA)
        receipt = uploads.finish(one, "ann")
        assert receipt is not None and uploads.accepted(one, "ann") == receipt


def test_partial_ones_are_joined(place: Store):
    with Receiver(place.config_path) as receiver:
        uploads = Resumables(receiver)
        pieces = [uploads.create(about(9, is_partial=True)) for _ in range(2)]
        send(uploads, pieces[0], DATA[:9])
        assert uploads.finish(pieces[0], "ann") is None, "a piece is no request"
        with pytest.raises(UsageError, match="no partial upload that is whole"):
            uploads.join(about(0), pieces)
        send(uploads, pieces[1], DATA[9:])
        whole, receipt = uploads.join(about(0), pieces)
        assert receipt.system_ids(9) == [hashlib.sha256(DATA).hexdigest()]
        assert uploads.accepted(whole, "ann") == receipt and lying(place, FOLDER) == []
        receiver.tick(LATER_S)
    assert came_in(place) == [DATA]


@pytest.mark.fault
def test_what_cannot_be_taken_is_told_before_a_byte_comes(place: Store):
    with Receiver(place.config_path) as receiver:
        uploads = Resumables(receiver)
        odd = [
            about(3).model_copy(update={"source": "Not a source"}),
            about(3).model_copy(update={"content_type": "text/\0"}),
            about(3).model_copy(update={"said": Said(upload_context={"a": "\ud800"})}),
        ]
        for one in odd:
            with pytest.raises(UsageError):
                uploads.create(one)
            with pytest.raises(UsageError):
                uploads.join(one, [])
        piece = uploads.create(about(3, is_partial=True))
        send(uploads, piece, b"abc")
        with pytest.raises(UsageError, match="named twice"):
            uploads.join(about(0), [piece, piece])
        receiver.room = room_module.Room(place.config.area_path("3a"), place.config.ssd, 3)
        with pytest.raises(SpaceError):
            uploads.join(about(0), [piece])
        assert lying(place, FOLDER) == [piece], "nothing is left of a join that failed"


@pytest.mark.fault
def test_one_that_cannot_be_taken_keeps_no_other_waiting(
    place: Store, monkeypatch: pytest.MonkeyPatch
):
    with Receiver(place.config_path) as receiver:
        uploads = Resumables(receiver)
        names = [uploads.create(about(3)) for _ in range(3)]
        for name in names:
            send(uploads, name, b"abc")
        monkeypatch.setattr(os, "listdir", lambda *_: names)
        path = os.path.join(place.config.area_path("3a"), FOLDER, names[0], "about.json")
        with open(path, encoding="utf-8") as file:
            written = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(written.replace('"texts"', '"NO SOURCE"'))
        uploads.sweep()
        taken = [uploads.accepted(name, "ann") is not None for name in names]
        assert taken == [False, True, True]


def upload_and_die(place: Store, said: int, kill_at: int) -> None:
    """Upload in three pieces, one with a checksum, and be killed before one call."""
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    tell = os.write
    for name in BARRIERS:
        setattr(os, name, counted(getattr(os, name)))
    with Receiver(place.config_path) as receiver:
        uploads = Resumables(receiver)
        one = uploads.create(about(len(DATA)))
        tell(said, f"{one} 0\n".encode())
        for begin, end in ((0, 5), (5, 12), (12, 18)):
            data = DATA[begin:end]
            send(uploads, one, data, sha1(data) if begin == 5 else None)
            tell(said, f"{one} {end}\n".encode())
        assert uploads.finish(one, "ann") is not None
        tell(said, f"{one} whole\n".encode())
        receiver.tick(LATER_S)
    os._exit(0)


@pytest.mark.fault
def test_killed_at_every_barrier_it_goes_on_at_the_byte_and_comes_in_once(
    place: Store, monkeypatch: pytest.MonkeyPatch
):
    inbox = place.config.area_path("3a")
    for kill_at in range(1, 400):
        for name in (FOLDER, UPLOADS, *(one for one in os.listdir(inbox) if PREFIX in one)):
            shutil.rmtree(os.path.join(inbox, name), ignore_errors=True)
        shutil.rmtree(os.path.join(place.config.ssd, JOURNALS), ignore_errors=True)
        heard, child_said = os.pipe()
        child = os.fork()
        if not child:
            try:
                upload_and_die(place, child_said, kill_at)
            finally:
                os._exit(9)
        os.close(child_said)
        with os.fdopen(heard, encoding="ascii") as file:
            told = [line.split() for line in file]
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        with Receiver(place.config_path) as receiver:
            uploads = Resumables(receiver)
            uploads.sweep()
            if told:
                one, last = told[-1]
                receipt = uploads.accepted(one, "ann")
                if receipt is None:
                    assert last != "whole", f"lost, killed at {kill_at}"
                    offset = uploads.offset(one, "ann")
                    assert offset >= int(last), f"lost, killed at {kill_at}"
                    send(uploads, one, DATA[offset:])
                    assert uploads.finish(one, "ann") is not None
            else:
                # One that nobody was told of is as one that nobody goes on with for a week.
                monkeypatch.setattr(resumable_module, "KEPT_S", -1.0)
                Resumables(receiver).sweep()
                monkeypatch.undo()
            receiver.tick(LATER_S)
        assert came_in(place) == ([DATA] if told else []), f"killed at {kill_at}"
        assert lying(place, FOLDER) == lying(place, UPLOADS) == [], f"left, killed at {kill_at}"
        if status == 0:
            assert kill_at > 20 and told[-1][1] == "whole"
            return
    raise AssertionError("it never ended")
