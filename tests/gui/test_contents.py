"""Contents by the public port: ranges, conditions, rights; readers that take nothing; no pages."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from gui_harness import Answer, Scene
from store_checks import until
from store_harness import write_files

from fsd import PIECE_BYTES, Client
from gui.access.people import make_token
from gui.contents.conditions import Part, is_known, part_of
from gui.contents.objects import THREADS_MAX, Objects
from gui.core.server_process import pages_process
from gui.door import protocol

LARGE = random.Random(7).randbytes(3 * PIECE_BYTES + 12_345)
KEY = hashlib.sha256(LARGE).hexdigest()
TAG = f'"{KEY}"'
PATH = f"/content/{KEY}"


@pytest.fixture(scope="module")
def large(served: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = write_files(str(tmp_path_factory.mktemp("large")), {"a.bin": LARGE, "empty": b""})
    served.store.put(folder, "large")
    return served


@pytest.fixture
def ask(large: Scene):
    token = large.token("vera", "viewer")

    def ask(method: str = "GET", path: str = PATH, **headers: str) -> Answer:
        return large.ask(method, path, Authorization=token, Origin=None, **headers)

    return ask


def test_all_of_an_object_comes_with_its_tag(ask):
    answer = ask()
    assert (answer.status, answer.body == LARGE) == (200, True)
    told = answer.headers
    assert (told["etag"], told["accept-ranges"]) == (TAG, "bytes")
    assert told["content-length"] == str(len(LARGE)) and KEY in told["content-disposition"]
    assert told["cache-control"] == "private, no-cache", "asked again before it is shown"
    assert "authorization" in told["vary"] and "sandbox" in told["content-security-policy"]
    head = ask("HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(LARGE)))
    assert head.headers["etag"] == TAG


@pytest.mark.parametrize(
    ("wanted", "begin", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-10", 10, 11),
        (f"bytes={PIECE_BYTES - 5}-{PIECE_BYTES + 5}", PIECE_BYTES - 5, PIECE_BYTES + 6),
        ("bytes=1000-", 1000, len(LARGE)),
        ("bytes=-7", len(LARGE) - 7, len(LARGE)),
        (f"bytes=-{len(LARGE) * 2}", 0, len(LARGE)),
        (f"bytes=5-{len(LARGE) * 2}", 5, len(LARGE)),
    ],
)
def test_a_part_comes_as_it_is_asked_for(ask, wanted: str, begin: int, end: int):
    answer = ask(Range=wanted)
    assert (answer.status, answer.body == LARGE[begin:end]) == (206, True)
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(LARGE)}"
    assert answer.headers["content-length"] == str(end - begin)


@pytest.mark.parametrize(
    "wanted", ["bytes=9-3", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes=0" * 99]
)
def test_what_is_no_range_is_answered_with_all(ask, wanted: str):
    answer = ask(Range=wanted)
    assert (answer.status, len(answer.body)) == (200, len(LARGE))


def test_a_part_beyond_the_end_is_416(ask):
    for wanted in (f"bytes={len(LARGE)}-", "bytes=-0", f"bytes={10**18}-{10**18 + 1}"):
        answer = ask(Range=wanted)
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["content-range"] == f"bytes */{len(LARGE)}"
    empty = "/content/" + hashlib.sha256(b"").hexdigest()
    assert (ask(path=empty).status, ask(path=empty).body) == (200, b"")
    assert ask(path=empty, Range="bytes=0-").status == 416


def test_who_has_it_is_told_so(ask):
    for known in (TAG, f'"other", {TAG}', f"W/{TAG}", "*"):
        for method in ("GET", "HEAD"):
            answer = ask(method, If_None_Match=known, Range="bytes=0-3")
            assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", TAG)
    assert ask(If_None_Match='"other"').status == 200
    missing = "0" * 64
    gone = ask(path=f"/content/{missing}", If_None_Match=f'"{missing}"')
    assert (gone.status, gone.document["code"]) == (404, "not_found")


def test_a_part_of_something_else_is_not_mixed_in(ask):
    assert ask(Range="bytes=0-3", If_Range=TAG).status == 206
    for other in ('"other"', f"W/{TAG}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert ask(Range="bytes=0-3", If_Range=other).status == 200


def test_conditions_are_read_as_the_rfc_says():
    assert is_known({"if-none-match": ' "a" , W/"b"'}, '"b"')
    assert not is_known({"if-none-match": '"ab"'}, '"a"') and not is_known({}, '"a"')
    assert part_of({"range": " Bytes = 2 - 4 "}, '"a"', 10) == Part(2, 5)
    assert part_of({"range": "bytes=²-"}, '"a"', 10) is None
    beyond = part_of({"range": f"bytes={'9' * 30}-"}, '"a"', 10)
    assert beyond is not None and beyond.begin >= beyond.end, "no answer with all of it"
    assert part_of({"range": f"bytes=-{'9' * 30}"}, '"a"', 10) == Part(0, 10)


def test_pictures_have_tags_too(ask, large: Scene):
    cookie = large.log_in("vera")
    page = large.ask("GET", "/explorer/nodes", Cookie=cookie).document["nodes"]
    # Their records are called after them, and have none.
    drawn = (node for node in page if node["picture"])
    path = next(node["picture"] for node in drawn if node["title"].startswith("Picture"))
    first = ask(path=path)
    assert (first.status, first.headers["content-type"]) == (200, "image/webp")
    assert first.headers["cache-control"] == "private, no-cache"
    again = ask(path=path, If_None_Match=first.headers["etag"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_nobody_gets_bytes_without_being_somebody(large: Scene):
    assert large.ask("GET", PATH).status == 303, "a browser is led to the login"
    wrong = large.ask("GET", PATH, Authorization="Bearer nonsense", If_None_Match=TAG)
    assert (wrong.status, wrong.document["code"]) == (401, "not_logged_in")
    worker = make_token(large.database, "oto", "works", ["worker"]).secret
    assert large.ask("GET", PATH, Authorization=f"Bearer {worker}").status == 404


def test_contents_come_without_the_pages(ask, large: Scene):
    pages_process(large.config).stop()
    try:
        assert large.ask("GET", "/login").status == 503
        assert ask().body == LARGE
    finally:
        pages_process(large.config).start()


# ---- Readers -------------------------------------------------------------------------------------


class Counted(Client):
    """The store's client; it counts the pieces, may hang, and bends the last byte of one."""

    bent = -1

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.asked: list[int] = []
        self.given = 0
        self.goes_on = threading.Event()
        self.goes_on.set()

    def piece(self, key: str, number: int) -> bytes:
        self.asked.append(number)
        self.goes_on.wait(60)
        data = super().piece(key, number)
        self.given += 1
        return data[:-1] + bytes([data[-1] ^ 1]) if number == self.bent else data


@dataclass
class Port:
    """A server of one object in this process, with the port's own protocol."""

    number: int
    store: Counted
    server: uvicorn.Server

    def get(self, receive_bytes: int = 0, **headers: str) -> socket.socket:
        """Ask for the object and take nothing."""
        opened = socket.socket()
        if receive_bytes:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        opened.settimeout(60)
        opened.connect(("127.0.0.1", self.number))
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        opened.sendall(f"GET / HTTP/1.1\r\nhost: a\r\n{told}\r\n".encode())
        return opened


@pytest.fixture
def port(large: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    store = Counted(large.store.config.socket_path)
    objects = Objects(store)
    app = FastAPI()

    @app.get("/")
    async def answer(request: Request) -> Response:
        return await objects.answer(request, KEY, "application/octet-stream", {})

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # What the kernel itself holds of an answer is bounded, so that a reader is soon one of ours.
    monkeypatch.setattr(protocol, "KERNEL_SIZE_BYTES", 16_384)
    settings = uvicorn.Config(app, http=protocol.BoundedProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    until(lambda: server.started, "the server")
    yield Port(listener.getsockname()[1], store, server)
    server.should_exit = True
    thread.join(30)
    objects.close()


def taken(opened: socket.socket) -> bytes:
    """Take all that comes until the other side ends."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := opened.recv(1 << 20):
            said += piece
    return said


@pytest.mark.fault
def test_a_reader_that_takes_nothing_is_ended(port: Port, monkeypatch):
    monkeypatch.setattr(protocol, "TAKE_TIMEOUT_S", 0.5)
    with port.get(receive_bytes=4_096) as opened:
        # It is ended by itself: what follows finds less than was promised.
        until(lambda: _is_reset(opened), "the end")
        assert len(taken(opened)) < len(LARGE)


def _is_reset(opened: socket.socket) -> bool:
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


@pytest.mark.fault
def test_a_reader_that_pauses_holds_no_piece_and_gets_all(port: Port, monkeypatch):
    monkeypatch.setattr("gui.contents.objects.UNTAKEN_S", 0.05)
    with port.get(receive_bytes=4_096, connection="close") as opened:
        until(lambda: port.store.given == 1, "a piece")
        time.sleep(1.0)
        head, _, body = taken(opened).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and body == LARGE
    assert port.store.asked[:2] == [0, 0], "it was given up, and fetched again"
    # Where others keep the processor, so may later ones be; each comes in its turn.
    assert list(dict.fromkeys(port.store.asked)) == [0, 1, 2, 3]
    assert port.store.asked == sorted(port.store.asked)


@pytest.mark.fault
def test_what_is_not_the_object_never_comes_whole(port: Port, caplog):
    for bent in (0, 3):
        port.store.bent = bent
        opened = http.client.HTTPConnection("127.0.0.1", port.number, timeout=60)
        opened.request("GET", "/")
        with (
            opened.getresponse() as answer,
            pytest.raises(http.client.IncompleteRead) as cut,
        ):
            answer.read()
        opened.close()
        assert len(cut.value.partial) == 3 * PIECE_BYTES, "the last piece is kept back"
    assert "does not match its sha256" in caplog.text


@pytest.mark.fault
def test_who_went_while_disks_hang_asks_for_nothing(port: Port):
    port.store.goes_on.clear()
    many = [port.get() for _ in range(3 * THREADS_MAX)]
    until(lambda: len(port.store.asked) == THREADS_MAX, "the threads")
    for one in many:
        one.close()
    until(lambda: not port.server.server_state.connections, "that they went")
    port.store.goes_on.set()
    with port.get(connection="close") as opened:
        assert taken(opened).endswith(LARGE)
    assert len(port.store.asked) == THREADS_MAX + 4, "theirs, and those of one who stayed"


def test_nothing_of_it_lies_on_the_ssd(ask, large: Scene):
    ask()
    found = [name for _, _, names in os.walk(large.config.thumbnail_dir) for name in names]
    assert not [name for name in found if KEY in name]
