"""Alerts: what is news (pure), and a real command and a real HTTP server that are told."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from command import drystone, json_lines
from hypothesis import given
from hypothesis import strategies as st
from store_checks import until

from base.network import notify
from base.network.notify import FORMER_SIGNATURE_HEADER
from base.network.post import NotDeliveredError
from fsd.disks.config import AlertsConfig, load_config
from fsd.disks.watch_file import WatchFile
from fsd.documents.models import Notice
from fsd.watch.alerts import AlertBook, Alerts, identify, send

RAISE_S, END_S = 30.0, 120.0
# A warning is known by its text without its numbers.
_LETTERS = str.maketrans("0123456789", "abcdefghij")


def make_notice(code: str = "disk-missing", severity: str = "critical", text: str = "disk d1 x"):
    return Notice(code=code, severity=severity, message=text, advice="do something")


def test_a_warning_is_the_same_though_its_numbers_change():
    first = make_notice("copies", "warning", "12 shards (3,000 bytes) have fewer copies")
    later = make_notice("copies", "warning", "11 shards (2,000 bytes) have fewer copies")
    assert identify(first) == identify(later)
    assert identify(make_notice(text="disk d1 is missing")) != identify(
        make_notice(text="disk d2 is missing")
    )
    assert identify(make_notice("note", text="a")) != identify(make_notice("note", text="b"))


def test_two_disks_with_a_space_in_their_names_are_two():
    book = AlertBook(0, END_S)
    passport, book_disk = (
        Notice(code="disk-missing", subject=name, severity="critical", message=text, advice="")
        for name, text in (("My Passport", "disk My Passport is"), ("My Book", "disk My Book is"))
    )
    assert [event for event, _ in book.update([passport], 0.0)] == ["raised"]
    assert [event for event, _ in book.update([passport, book_disk], 1.0)] == ["raised"]
    damaged = [
        make_notice("damaged", text=f"1 shards: shard s on disk {name} is bad") for name in "ab"
    ]
    assert identify(damaged[0]) == identify(damaged[1])


def test_every_warning_about_a_disk_names_it(store, tmp_path):
    one = store(4)
    os.rename(one.disks[0], one.disks[0] + ".away")
    until(lambda: any(n.code == "disk-missing" for n in one.client.warnings()), "the loss")
    one.client.disk_drain("d2")
    for found in one.client.warnings():
        about = [name for name in ("d1", "d2") if f"disk {name} " in found.message]
        assert found.subject == "".join(about), found


def test_it_is_raised_once_and_ended_once():
    book, told = AlertBook(RAISE_S, END_S), []
    for second in range(0, 400, 5):
        present = [make_notice()] if second < 200 else []
        told += [(second, event, k.code) for event, k in book.update(present, float(second))]
    # It was last there at 195.
    assert told == [(30, "raised", "disk-missing"), (315, "ended", "disk-missing")]


def test_what_turns_critical_is_raised_again_and_info_never():
    book, told = AlertBook(0, END_S), []
    for severity in ("info", "warning", "warning", "critical", "warning", "critical"):
        told += [k.severity for _, k in book.update([make_notice(severity=severity)], 0.0)]
    assert told == ["warning", "critical"]


@given(st.lists(st.booleans(), max_size=200))
def test_flapping_makes_no_noise(presence):
    """Between two events of one warning lies at least one of the two waits."""
    book, told = AlertBook(RAISE_S, END_S), []
    for turn, there in enumerate(presence):
        now = turn * 7.0
        told += [(now, event) for event, _ in book.update([make_notice()] if there else [], now)]
    for number, (_, event) in enumerate(told):
        assert event == ("raised", "ended")[number % 2]
    for (before, event), (after, _) in itertools.pairwise(told):
        assert after - before >= (END_S if event == "raised" else RAISE_S) - 7.0


def test_a_restart_is_no_news():
    book = AlertBook(0, END_S)
    assert book.update([make_notice()], 0.0)
    again = AlertBook(0, END_S)
    again.load(json.loads(json.dumps(book.dump())), 10.0)
    assert again.update([make_notice()], 20.0) == []
    assert again.update([], 100.0) == []
    assert [event for event, _ in again.update([], 200.0)] == ["ended"]


class Receiver:
    """A real HTTP server on this machine; `answers` are the status codes it gives, the last on."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers) or [204]
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                left = receiver.answers
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def documents(self) -> list[dict]:
        return [json.loads(body) for _, body in self.got]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    made: list[Receiver] = []

    def make(*answers: int) -> Receiver:
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def with_alerts(one, **settings: object):
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    with open(one.config_path, "a", encoding="utf-8") as file:
        file.write(f"\n[alerts]\n{lines}")
    one.config = load_config(one.config_path)


def collector(tmp_path) -> tuple[list[str], str]:
    """A real script that appends what it is told to a file, and says something."""
    path, target = tmp_path / "tell.sh", tmp_path / "told.jsonl"
    path.write_text(f'#!/bin/sh\ncat >> "{target}"\necho "told $1"\n')
    path.chmod(0o755)
    return [str(path), "two words; $HOME"], str(target)


def told(path: str) -> list[dict]:
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def only(documents: list[dict], code: str) -> list[str]:
    return [document["event"] for document in documents if document["code"] == code]


def test_command_and_webhook_are_told_of_a_disk_that_vanishes_and_returns(
    store, receiver, tmp_path
):
    command, target = collector(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("a secret\n")
    # The first answer is a refusal: it is sent again.
    hook = receiver(503, 204)
    one = store(started=False)
    with_alerts(
        one,
        command=command,
        webhook=hook.url,
        secret_file=str(secret),
        raise_after_s=0.4,
        end_after_s=1.0,
    )
    one.start()
    identity = os.path.join(one.disks[0], "drystone-disk.json")
    os.rename(identity, identity + ".away")
    until(lambda: "raised" in only(told(target), "disk-missing"), "the command to be told")
    until(lambda: "raised" in only(hook.documents(), "disk-missing"), "the webhook to be told")
    os.rename(identity + ".away", identity)
    until(lambda: "ended" in only(told(target), "disk-missing"), "the command to hear of the end")
    until(lambda: "ended" in only(hook.documents(), "disk-missing"), "the webhook as well")
    assert only(told(target), "disk-missing") == ["raised", "ended"]
    raised = next(d for d in told(target) if d["code"] == "disk-missing")
    assert raised["severity"] == "critical"
    assert raised["advice"]
    assert raised["store_id"] == one.config.store.store_id
    for headers, body in hook.got:
        expected = hmac.new(b"a secret", body, hashlib.sha256).hexdigest()
        assert headers[FORMER_SIGNATURE_HEADER] == f"sha256={expected}"
    # The refused one came again, with its id.
    assert hook.documents()[0]["id"] == hook.documents()[1]["id"]
    # No shell: the argument arrived as it is written, and the output is in the log.
    assert "told two words; $HOME" in one.log()


def test_what_could_not_be_sent_is_sent_after_a_restart(store, receiver, tmp_path):
    hook = receiver(500)
    one = store(started=False)
    with_alerts(one, webhook=hook.url, raise_after_s=0.0, end_after_s=60.0)
    one.start()
    until(lambda: "same-device" in [d["code"] for d in hook.documents()], "the first try")
    until(
        lambda: any(n.code == "alerts" and "500" in n.message for n in one.client.warnings()),
        "a notice that alerts wait",
    )
    one.stop()
    hook.answers[:] = [204]
    before = len(hook.got)
    one.start()
    until(lambda: len(hook.got) > before, "the outbox to be emptied")
    assert hook.documents()[before]["id"] == hook.documents()[0]["id"]
    until(lambda: not any(n.code == "alerts" for n in one.client.warnings()), "no alert to wait")
    same = [d for d in hook.documents()[before:] if d["code"] == "same-device"]
    assert len(same) == 1, "a restart told it again"


def test_the_test_alert_says_what_arrived(store, receiver, tmp_path):
    hook = receiver(204)
    one = store(started=False)
    with_alerts(one, command=["/nowhere/tell"], webhook=hook.url, raise_after_s=3600.0)
    one.start()
    result = drystone("alerts", "test", "--json", "--config", one.config_path, expect=1)
    (rows,) = json_lines(result)
    assert [(row["channel"], row["sent"]) for row in rows] == [
        ("command", False),
        ("webhook", True),
    ]
    assert "No such file" in rows[0]["detail"]
    assert [document["event"] for document in hook.documents()] == ["test"]
    shown = drystone("alerts", "test", "--config", one.config_path, expect=1).stdout.decode()
    assert "webhook  taken" in shown


def test_without_anybody_to_tell_the_test_says_so(store):
    one = store(1, copies_raw=1, copies_generated=1)
    result = drystone("alerts", "test", "--config", one.config_path, expect=2)
    assert "[alerts]" in result.stderr.decode()


@pytest.mark.parametrize("url", ["http://[", "http://h:99999/", "http:///x", "http://a b/"])
def test_an_address_that_is_none_is_a_letter_not_sent(url):
    with pytest.raises(NotDeliveredError, match="not reached"):
        send(AlertsConfig(webhook=url), "webhook", {})


def test_one_letter_that_cannot_be_sent_stops_no_other(store, receiver, tmp_path):
    """Whatever goes wrong with one way of telling, the other goes on."""
    command, target = collector(tmp_path)
    one = store(started=False)
    with_alerts(one, command=command, webhook="http://[", raise_after_s=0.0, end_after_s=60.0)
    one.start()
    until(lambda: only(told(target), "same-device"), "the command to be told")
    os.rename(one.disks[0], one.disks[0] + ".away")
    until(lambda: only(told(target), "disk-missing"), "the command to be told once more")


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of somebody who is never silent for long, and never comes to an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 ")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.02)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_receiver_that_never_comes_to_an_end_is_left(dripping, monkeypatch):
    monkeypatch.setattr(notify, "TRY_S", 0.3)
    with pytest.raises(NotDeliveredError, match="not reached"):
        send(AlertsConfig(webhook=dripping), "webhook", {})


def test_a_receiver_that_hangs_keeps_no_other(store, dripping, tmp_path):
    command, target = collector(tmp_path)
    one = store(started=False)
    with_alerts(one, command=command, webhook=dripping, raise_after_s=0.0, end_after_s=60.0)
    one.start()
    until(lambda: only(told(target), "same-device"), "the command to be told")
    os.rename(one.disks[0], one.disks[0] + ".away")
    until(lambda: only(told(target), "disk-missing"), "the command to be told once more")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a filesystem")
def test_a_command_is_told_although_the_folder_for_temporary_files_is_full(tmp_path, monkeypatch):
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", full], check=True)
    try:
        (full / "filler").write_bytes(bytes(64 << 10))
        monkeypatch.setattr(tempfile, "tempdir", str(full))
        command, target = collector(tmp_path)
        with contextlib.suppress(NotDeliveredError):  # What it prints may find no room.
            send(AlertsConfig(command=tuple(command)), "command", {"code": "x" * 10_000})
        assert [document["code"] for document in told(target)] == ["x" * 10_000]
    finally:
        subprocess.run(["umount", full], check=True)


def test_a_webhook_without_its_secret_is_not_sent_unsigned(receiver, tmp_path):
    hook = receiver(204)
    config = AlertsConfig(webhook=hook.url, secret_file=str(tmp_path / "missing"))
    with pytest.raises(NotDeliveredError, match="No such file"):
        send(config, "webhook", {})
    assert hook.got == []


def test_what_is_raised_is_saved_with_its_letters_by_whoever_saves(store):
    """Who looks and who sends save the same book: neither sees half of what the other does."""
    config = store(1, started=False, copies_raw=1, copies_generated=1).config
    config = config.model_copy(
        update={"alerts": AlertsConfig(command=("true",), raise_after_s=0.0, end_after_s=0.0)}
    )
    alerts = Alerts(config, WatchFile(config.watch_dir))
    notices = [make_notice(text=f"disk {number:04}".translate(_LETTERS)) for number in range(300)]
    over, wrong = threading.Event(), []

    def send_all() -> None:
        try:
            while not over.is_set():
                alerts._send_first("none")  # It finds no letter, as most do, ...
                with alerts._lock:
                    alerts._save()  # ... and one that did would save.
                saved = WatchFile(config.watch_dir)
                document = saved.rows("alerts")
                saved.close()
                told = {letter["document"]["message"] for letter in document.get("outbox", [])}
                raised = document.get("raised", {})
                missing = {one["message"] for one in raised.values()} - told
                assert not missing, f"{len(missing)} are raised and told to nobody"
        except Exception as error:
            wrong.append(error)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=send_all)
    thread.start()
    try:
        for round_number in range(40):
            alerts._take(notices if round_number % 2 == 0 else [], float(round_number))
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval_s)
    assert wrong == []
