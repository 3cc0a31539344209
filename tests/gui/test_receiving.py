"""Receiving over HTTP: what is answered 202 is durable, comes in, and is told what became of."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import psycopg
import psycopg.conninfo
import psycopg.sql
import pytest
from gui_harness import PASSWORD, Answer, Scene
from PIL import Image
from starlette.requests import Request
from store_checks import until
from typer.testing import CliRunner

from adapters import WaitingFolder, run_ingest, waiting_folders
from adapters.work.batch_work import Signal
from base.errors import UsageError
from fsd.cli.daemons import daemon
from gui.access.kept_tokens import KeptTokens
from gui.access.passwords import hash_of
from gui.access.people import add_user, make_token
from gui.cli.app import app
from gui.core.server_process import api_process
from gui.door.receiving import PIECE_BYTES, read_pieces
from gui.reading.connections import Connections
from sql import Database, KeptMark
from sql import load_config as load_database_config
from sql.database.node_groups import groups
from sql.selector.document import read_selector

PATH = "/api/v1/ingest"
BOUNDARY = "between-the-parts"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture
def oto(served: Scene) -> str:
    return served.token("oto", "operator")


def send(served: Scene, token: str, body: bytes, query: str = "", **headers: str) -> Answer:
    given = {"Content-Type": "application/json", "Authorization": token, **headers}
    return served.ask("POST", PATH + query, body, **given)


def head(host: str, token: str, size_bytes: int, kind: str = "application/json") -> bytes:
    lines = (
        f"POST {PATH} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: {token}",
        f"Content-Type: {kind}",
        f"Content-Length: {size_bytes}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def form(*parts: tuple[str, str | None, bytes], ends: bool = True) -> bytes:
    """Return the body of a form: the name of each part, its file name, its bytes."""
    lines: list[bytes] = []
    for name, file_name, data in parts:
        named = "" if file_name is None else f'; filename="{file_name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        lines += [head.encode(), data, b"\r\n"]
    return b"".join([*lines, f"--{BOUNDARY}--\r\n".encode()] if ends else lines)


def send_form(served: Scene, token: str, body: bytes, query: str = "", **headers: str) -> Answer:
    return send(served, token, body, query, Content_Type=FORM, **headers)


def left_over(served: Scene) -> list[str]:
    folder = os.path.join(served.store.config.area_path("3a"), ".receive")
    return os.listdir(folder) if os.path.isdir(folder) else []


def state(served: Scene, token: str, sent: Answer) -> dict:
    return served.ask("GET", sent.document["state_url"], Authorization=token).document


def received(served: Scene) -> Iterator[WaitingFolder]:
    for one in waiting_folders(served.store.config.area_path("3a")):
        if os.path.basename(one.folder).startswith("received-") and one.signal:
            yield one


def window_of(served: Scene, token: str, sent: Answer) -> Signal:
    """Wait until what was sent is in the inbox, where what other tests sent may be, too."""
    batch = until(lambda: state(served, token, sent).get("ingest_batch"), "its window is closed")
    (found,) = until(
        lambda: [
            one.signal for one in received(served) if one.signal and one.signal.batch == batch
        ],
        "the window is in the inbox",
    )
    return found


@pytest.mark.fault
def test_what_is_sent_is_accepted_stored_and_described(served: Scene, oto: str):
    body = b'[{"gauge": "north", "mm": 3}, {"gauge": "south", "mm": 4}]'
    sent = send(served, oto, body, "?source=rain", Idempotency_Key="once")
    assert (sent.status, sent.document["parts"]) == (202, 2)
    again = send(served, oto, body, "?source=rain&priority=normal", Idempotency_Key="once")
    assert again.document == sent.document and again.headers["idempotent-replayed"] == "true"
    assert "leave it out" in again.headers["warning"] and "warning" not in sent.headers
    refused = send(served, oto, b"{}", "?priority=11").document
    assert (refused["code"], "priority" in refused["problems"][0]) == ("wrong_request", True)
    other = send(served, oto, b'{"gauge": "east"}', "?source=rain", Idempotency_Key="once")
    assert (other.status, other.document["code"]) == (422, "key_reused")
    assert state(served, oto, sent)["state"] == "accepted"
    # The port is started again: what it had told is taken up by the next.
    api_process(served.config).stop()
    served.address = api_process(served.config).start()[0].address
    signal = window_of(served, oto, sent)
    assert signal.user == "oto"
    run_ingest(served.store.config_path, signal)
    told = state(served, oto, sent)
    assert (told["state"], told["parts_failed"]) == ("done", 0)
    assert [one["state"] for one in told["stages"]] == ["accepted", "stored", "described", "done"]
    status = served.ask("GET", sent.document["state_url"] + "/status", Authorization=oto)
    assert (status.document["status"], status.document["state"]) == ("done", "done")
    assert told["ingest_batch"] == signal.batch
    assert [one["system_id"] for one in told["part_states"]] == sent.document["system_ids"]
    has = {"source": "json", "columns": {"document": {"has": {"gauge": "south"}}}}
    selector = read_selector({"version": 1, "where": {"source_metadata": has}})
    assert served.database.aggregate(selector).count == 1
    admin = served.token("ada", "admin")
    stranger = served.ask("GET", PATH + "/" + "0" * 32, Authorization=admin)
    assert (stranger.status, stranger.document["code"]) == (404, "not_found")


@pytest.mark.fault
def test_files_come_with_the_objects_that_name_them(served: Scene, oto: str):
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(picture, "PNG")
    body = form(
        ("payload", None, b'[{"gauge": "west", "image": "part:photo1"}, {"gauge": "none"}]'),
        ("photo1", "West side.png", picture.getvalue()),
        ("files[]", "notes.txt", b"nothing to see"),
        ("files[]", "again.txt", b"nothing to see"),
        ("files[]", "what.is-this", b"nobody knows"),
        ("source", None, b"gauges"),
        ("tags", None, b"wet, windy"),
        ("collection", None, b"Gauges"),
        ("comments", None, b"from the west"),
        ("upload_context", None, b'{"trip": 7}'),
    )
    sent = send_form(served, oto, body, Idempotency_Key="form")
    assert (sent.status, sent.document["parts"]) == (202, 6), sent.document
    photo = hashlib.sha256(picture.getvalue()).hexdigest()
    assert sent.document["system_ids"][2] == photo
    assert sent.document["system_ids"][3] == sent.document["system_ids"][4], "equal parts"
    again = send_form(served, oto, body, Idempotency_Key="form")
    assert again.document == sent.document and again.headers["idempotent-replayed"] == "true"
    mine = window_of(served, oto, sent)
    until(lambda: not left_over(served), "its files are in the window alone")
    run_ingest(served.store.config_path, mine)
    told = state(served, oto, sent)
    assert (told["state"], told["parts_failed"]) == ("done", 1), told
    assert "is of no type" in told["part_states"][5]["reason"]
    listed = served.ask("GET", PATH + "?failed=true", Authorization=oto).document
    mine = [one for one in listed["requests"] if one["request_id"] == sent.document["request_id"]]
    assert [(one["parts_failed"], one["account"]) for one in mine] == [(1, "oto")]
    assert "is of no type" in mine[0]["reason"]
    first = served.ask("GET", PATH + "?limit=1", Authorization=oto).document
    shown = [one["request_id"] for one in first["requests"]]
    if first["next"]:
        rest = served.ask("GET", PATH + f"?before={first['next']}", Authorization=oto).document
        shown += [one["request_id"] for one in rest["requests"]]
    assert sent.document["request_id"] in shown and len(set(shown)) == len(shown)
    add_user(served.database, "olga", "operator", PASSWORD)
    others = served.ask("GET", PATH, Authorization=served.token("olga", "operator")).document
    assert others == {"requests": [], "next": None}, "they are another's"
    assert told["part_states"][2]["file_name"] == "West side.png"
    for where in (
        {"source_metadata": {"source": "json", "columns": {"document": {"has": {"image": photo}}}}},
        {"source_metadata": {"source": "file", "columns": {"width": 40}}},
        {"source_metadata": {"source": "received", "columns": {"file_name": "West side.png"}}},
    ):
        selector = read_selector({"version": 1, "where": where})
        assert served.database.aggregate(selector).count == 1, where
    known = {one.name: one.nodes for one in groups(served.database, "tag")}
    assert known["wet"] == known["windy"] == 4, "two objects, a picture, and one text"
    assert {one.name: one.nodes for one in groups(served.database, "collection")}["Gauges"] == 4
    with served.database.reading() as connection:
        attached = connection.execute(
            "SELECT encode(child.sha256, 'hex') FROM edge"
            " JOIN relationship USING (relationship_id)"
            " JOIN node AS child ON child.node_id = edge.child_node_id"
            " WHERE relationship.description = 'attached'"
        ).fetchall()
    assert attached == [(photo,)]


@pytest.mark.fault
def test_forms_that_cannot_be_taken_leave_nothing(served: Scene, oto: str):
    photo = ("photo", "a.jpg", b"x" * 3_000_000)
    until(lambda: not left_over(served), "the requests of other tests are in their windows")
    for body, kind, told in (
        (form(photo, ("payload", None, b'{"a": "part:b"}')), FORM, "no such file"),
        (form(photo, ("payload", None, b'{"a": NaN}')), FORM, "NaN is no JSON"),
        (form(("photo", "../../a.jpg", b"x")), FORM, "no name of a file"),
        (form(photo, ends=False), FORM, "ended within a part"),
        (form(photo, ("color", None, b"red")), FORM, "'color' is no field"),
        (form(photo, ("source", None, b"No")), FORM, "no source"),
        (form(photo, ("tags", None, b"...")), FORM, "tags.0"),
        (form(photo, ("upload_context", None, b"{")), FORM, "upload_context: "),
        (form(), FORM, "no payload and no file"),
        (b"no form", FORM, "no form"),
        (form(photo), "multipart/form-data", "without a boundary"),
    ):
        refused = send(served, oto, body, Content_Type=kind)
        assert refused.status == 400 and told in refused.document["detail"], refused.document
        assert left_over(served) == [], told
    owned = form(photo, ("owner", None, b"ada"))
    assert send_form(served, oto, owned).status == 403
    admin = served.token("ada", "admin")
    assert send_form(served, admin, form(photo, ("owner", None, b"nobody"))).status == 404
    assert left_over(served) == []
    # A client that goes away within a part.
    parts = urlsplit(served.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 60) as one:
        cut = form(photo, ends=False)
        one.sendall(head(parts.netloc, oto, 10 << 20, FORM) + cut)
        until(lambda: left_over(served), "it writes what came")
    until(lambda: not left_over(served), "and removes it")


def test_who_may_not_and_what_cannot_be_taken(served: Scene, oto: str):
    assert send(served, served.token("vera", "viewer"), b"{}").status == 403
    assert served.ask("POST", PATH, b"{}").status == 401
    for body, query, kind, told in (
        (b'{"a": 1, "a": 2}', "", "application/json", "there twice"),
        (b"[" * 5_000_000, "", "application/json", "nested deeper"),
        (b"{}", "?source=No", "application/json", "no source"),
        (b"a=1", "", "application/x-www-form-urlencoded", "is not taken"),
        (b'{"a": 1}\n{"a"', "", "application/x-ndjson", "object 2"),
    ):
        refused = send(served, oto, body, query, Content_Type=kind)
        assert refused.status == 400 and told in refused.document["detail"], refused.document
    parts = urlsplit(served.address)
    # Of two types the first counts, for how long a body may be as well as for how it is read.
    for kind in ("application/json", f"application/json\r\nContent-Type: {FORM}"):
        with socket.create_connection((parts.hostname or "", parts.port or 0), 60) as one:
            one.sendall(head(parts.netloc, oto, 11 << 20, kind))
            assert one.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.fault
def test_behind_a_piece_that_could_not_be_written_none_is():
    taken: list[bytes] = []

    class Threads:
        async def work(self, take: Callable[[bytes], None], data: bytes) -> None:
            await asyncio.to_thread(take, data)

    def take(data: bytes) -> None:
        if not taken and data.startswith(b"1"):
            raise UsageError("there was no room at that moment")
        taken.append(data)

    pieces = [b"1" * PIECE_BYTES, b"2" * PIECE_BYTES, b"3", b""]

    async def receive() -> dict[str, object]:
        body = pieces.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(pieces)}

    request = Request({"type": "http", "headers": []}, receive)
    with pytest.raises(UsageError, match="no room"):
        asyncio.run(read_pieces(cast("Connections", Threads()), request, take))
    assert taken == []


@pytest.mark.fault
def test_a_body_that_ends_early_is_not_taken(served: Scene, oto: str):
    parts = urlsplit(served.address)
    until(lambda: not left_over(served), "the requests of other tests are in their windows")
    before = len(list(received(served)))
    with socket.create_connection((parts.hostname or "", parts.port or 0), 60) as one:
        one.sendall(head(parts.netloc, oto, 99) + b"{}")
    sent = send(served, oto, b'{"later": true}', "?source=later")
    until(lambda: state(served, oto, sent)["ingest_batch"], "its window is closed")
    until(lambda: len(list(received(served))) == before + 1, "and is the only one")


@pytest.mark.fault
def test_it_is_accepted_while_the_engine_is_away(served: Scene, oto: str):
    daemon.stop_engine(served.store.config)
    try:
        sent = send(served, oto, b'{"away": true}', "?source=away")
        assert sent.status == 202 and state(served, oto, sent)["state"] == "accepted"
    finally:
        served.store.start()
    run_ingest(served.store.config_path, window_of(served, oto, sent))
    assert state(served, oto, sent)["state"] == "done"


@contextlib.contextmanager
def database_away(served: Scene) -> Iterator[None]:
    """Let the server take no connection to the store's database, and end those that there are."""
    url = load_database_config(served.store.config_path).dsn
    with psycopg.connect(url) as mine:
        name, others = mine.info.dbname, psycopg.conninfo.make_conninfo(url, dbname="postgres")
    named = psycopg.sql.Identifier(name)
    change = psycopg.sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}").format

    with psycopg.connect(others, autocommit=True) as server:
        server.execute(change(named, psycopg.sql.SQL("false")))
        try:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            server.execute(change(named, psycopg.sql.SQL("true")))


@pytest.mark.fault
def test_it_is_accepted_while_the_database_is_away(served: Scene, oto: str):
    """Also by a port that was started meanwhile, which has asked the database for nothing."""
    book = os.path.join(served.store.config.ssd, "access", "tokens.json")
    revoked = f"Bearer {make_token(served.database, 'oto', 'revoked', ['write']).secret}"
    for token in (oto, revoked):
        until(lambda token=token: served.is_kept(token), "the token is kept")
    assert os.stat(book).st_mode & 0o777 == 0o600
    assert send(served, revoked, b'{"before": "it"}', "?source=base").status == 202
    served.database.users.remove_token("oto", "revoked")
    until(lambda: not served.is_kept(revoked), "the other is kept no more")
    with database_away(served):
        assert send(served, revoked, b"{}").status == 503, "it is not remembered"
        api_process(served.config).stop()
        served.address = api_process(served.config).start()[0].address
        sent = send(served, oto, b'{"base": "away"}', "?source=base", Prefer="wait=1")
        assert (sent.status, sent.document["state"]) == (202, "accepted"), sent.document
        assert send(served, revoked, b"{}").status == 503
        assert send(served, "Bearer " + "0" * 43, b"{}").status == 503
        # All else needs to know who may what, now.
        for path in ("/api/v1/me", sent.document["state_url"], "/content/" + "0" * 64):
            asked = served.ask("GET", path, Authorization=oto)
            assert asked.status == 503 and asked.headers["retry-after"], asked.body
    run_ingest(served.store.config_path, window_of(served, oto, sent))
    assert state(served, oto, sent)["state"] == "done"


@pytest.mark.fault
def test_who_is_shut_out_while_the_port_is_down_sends_nothing(served: Scene):
    """The database is away when the port comes back: what it wrote of them before is worthless."""
    mark = KeptMark(served.store.config.ssd)
    bearers: list[str] = []
    for name, words in {
        "demoted": ["gui", "user", "role", "demoted", "viewer"],
        "disabled": ["gui", "user", "disable", "disabled"],
        "revoked": ["token", "revoke", "its", "--owner", "revoked"],
    }.items():
        add_user(served.database, name, "operator", PASSWORD)
        bearer = f"Bearer {make_token(served.database, name, 'its', ['write']).secret}"
        until(lambda bearer=bearer: served.is_kept(bearer), "the token is kept")
        bearers.append(bearer)
        api_process(served.config).stop()
        before = mark.read()
        done = CliRunner().invoke(app, [*words, "--config", served.store.config_path])
        assert done.exit_code == 0, done.output
        assert before and not mark.read(), words
        if name != "revoked":
            served.address = api_process(served.config).start()[0].address
    try:
        with database_away(served):
            served.address = api_process(served.config).start()[0].address
            assert [send(served, bearer, b"{}").status for bearer in bearers] == [503] * 3
    finally:
        served.address = api_process(served.config).start()[0].address
    assert [send(served, bearer, b"{}").status for bearer in bearers] == [403, 401, 401]


def test_tokens_count_as_the_database_said_since_the_last_change(served: Scene, tmp_path: Path):
    ssd = str(tmp_path)
    made = [make_token(served.database, "oto", name, ["write"]) for name in ("stays", "goes")]
    stays, goes = (hash_of(one.secret) for one in made)
    kept = KeptTokens(ssd, lambda: served.database)
    assert kept.find(stays) is None, "nobody was asked"
    kept.keep()
    assert kept.find(stays) and kept.find(goes)
    KeptMark(ssd).remove()
    assert kept.find(stays) is None, "somebody was shut out"
    kept.keep()
    assert kept.find(stays), "and the database was asked again"

    def changed() -> Database:
        KeptMark(ssd).remove()  # Behind the mark and ahead of the question.
        return served.database

    KeptTokens(ssd, changed).keep()
    assert kept.find(stays) is None, "what is written of it now may be older than the change"
    KeptTokens(ssd, lambda: served.database).keep()
    served.database.users.remove_token("oto", "goes")
    assert kept.find(goes), "that connection knows of no store"
    started = KeptTokens(ssd, lambda: served.database)
    started.start()
    try:
        assert started.find(goes) is None and started.find(stays), "a start asks first"
    finally:
        started.close()
        served.database.users.remove_token("oto", "stays")
