"""Alerts to real receivers, good and bad: a command, an HTTP server and a mail server."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import socketserver
import sys
import threading
from contextlib import ExitStack

import pytest
from receivers import mail_server, port_of, web_server

from base.errors import ConfigError
from jobs.core.alert_config import AlertsConfig, load_alerts_config, read_secret
from jobs.notify import deliver
from jobs.notify.deliver import ATTEMPTS_MAX, Deliverer, pause_s
from sql import Database

SECRET = b"a secret that nobody else has"
STORE = "00112233445566778899aabbccddeeff"


@pytest.fixture
def secret_file(tmp_path) -> str:
    path = tmp_path / "hook.secret"
    path.touch(mode=0o600)
    path.write_bytes(SECRET + b"\n")
    return str(path)


def config(*channels: dict) -> AlertsConfig:
    return AlertsConfig.model_validate({"channel": channels})


def webhook(server: socketserver.BaseServer, name: str = "web", **fields: object) -> dict:
    url = f"http://127.0.0.1:{port_of(server)}/hook?a=1"
    return {"name": name, "kind": "webhook", "url": url, **fields}


def command(code: str, *arguments: str, name: str = "script") -> dict:
    return {"name": name, "kind": "command", "command": [sys.executable, "-c", code, *arguments]}


def deliver_all(database: Database, given: AlertsConfig) -> None:
    deliverer = Deliverer(given, database, STORE)
    deliverer.tick()
    deliverer.join()


def fail(database: Database, number: int = 12, **fields: object) -> None:
    document = {"run_id": number, "reason": "no \x1b[2J space", **fields}
    database.events.add("processing.failed", f"run {number} (ua_1)", document)


def make_due(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("UPDATE delivery SET not_before = now() - interval '1 second'")


def states(database: Database) -> dict[str, str]:
    return {one.channel: one.state for one in database.events.deliveries()}


def test_a_webhook_gets_a_signed_document(database: Database, secret_file: str):
    fail(database)
    database.events.add("processing.completed", "run 13", {})
    with web_server() as server:
        deliver_all(database, config(webhook(server, secret_file=secret_file)))
        ((headers, body),) = server.got
    document = json.loads(body)
    assert (document["kind"], document["subject"]) == ("run_failed", "run 12 (ua_1)")
    assert document["document"]["reason"] == "no \x1b[2J space"
    assert headers["X-Drystone-Id"] == document["id"]
    time_text, signature = headers["X-Drystone-Signature"].split(",")
    signed = time_text.removeprefix("t=").encode() + b"." + body
    expected = hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    assert signature == f"v1={expected}"
    assert states(database) == {"web": "done"}


@pytest.mark.parametrize("status", [301, 302, 400, 404, 500, 503])
def test_only_success_counts_and_the_same_id_comes_again(database: Database, status: int):
    fail(database)
    answers = iter([status, 204])
    with web_server(lambda _: next(answers)) as server:
        given = config(webhook(server))
        deliver_all(database, given)
        (waiting,) = database.events.deliveries()
        assert (waiting.state, waiting.attempts) == ("waiting", 1)
        assert waiting.error == f"the webhook answered {status}"
        deliver_all(database, given)
        assert len(server.got) == 1, "not before its time"
        make_due(database)
        deliver_all(database, given)
        ids = [json.loads(body)["id"] for _, body in server.got]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert states(database) == {"web": "done"}


def test_a_crash_after_sending_tells_it_again_with_the_same_id(database: Database):
    fail(database)
    with web_server() as server:
        given = config(webhook(server))
        crashed = Deliverer(given, database, STORE)
        database.events.plan(given.channels_of)
        (taken,) = database.events.take(1, 0.0)
        deliver.send(given.channel[0], crashed.document(given.channel[0], taken))
        deliver_all(database, given)
        assert len({json.loads(body)["id"] for _, body in server.got}) == 1
        assert len(server.got) == 2
        database.events.postpone(taken, "the dead do not speak", 0.0)
    assert states(database) == {"web": "done"}


def test_a_bad_receiver_and_a_bad_event_keep_nobody_waiting(
    database: Database, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    # Nothing is due again, and nobody is given up, within the test, however long that takes.
    monkeypatch.setattr(deliver, "RETRY_S", 3_600.0)
    for limit in ("NETWORK_TIMEOUT_S", "TRY_S"):
        monkeypatch.setattr(f"base.network.notify.{limit}", 600.0)
    for number in range(5):
        fail(database, number)
    hanging = threading.Event()

    def hang(_: dict) -> int:
        hanging.wait(600)
        return 200

    with ExitStack() as stack:
        bad = stack.enter_context(web_server(hang))
        good = stack.enter_context(
            web_server(lambda document: 500 if document["document"]["run_id"] == 1 else 200)
        )
        nobody = {"name": "gone", "kind": "webhook", "url": "http://127.0.0.1:9/"}
        log = tmp_path / "log"
        script = command("import sys; open(sys.argv[1], 'a').write(sys.stdin.read())", str(log))
        given = config(webhook(bad, "bad"), nobody, webhook(good, "good"), script)
        deliverer = Deliverer(given, database, STORE)
        deliverer.tick()
        for name in ("gone", "good", "script"):
            deliverer._busy[name].join()
        assert deliverer.tick() == 1, "the one that hangs still does"
        told = [json.loads(body)["document"]["run_id"] for _, body in good.got]
        assert sorted(told) == [0, 1, 2, 3, 4]
        told = [json.loads(line)["document"]["run_id"] for line in log.read_text().splitlines()]
        assert told == [0, 1, 2, 3, 4]
        hanging.set()
        deliverer.join()
    done = [(one.channel, one.state) for one in database.events.deliveries()]
    assert sorted(done).count(("good", "done")) == 4
    assert sorted(done).count(("gone", "waiting")) == 5
    assert sorted(done).count(("bad", "done")) == 5


def test_it_is_given_up_in_the_end(database: Database):
    fail(database)
    given = config(command("import sys; print('no\\x1b[2J'); sys.exit(7)"))
    database.events.plan(given.channels_of)
    with database.connection() as connection:
        connection.execute("UPDATE delivery SET attempts = %s", [ATTEMPTS_MAX - 1])
    deliver_all(database, given)
    (one,) = database.events.deliveries()
    assert (one.state, one.attempts) == ("failed", ATTEMPTS_MAX)
    assert one.error is not None
    assert one.error.endswith("ended with 7: no\\x1b[2J")
    assert database.events.retry_failed() == 1


def test_a_command_that_hangs_is_ended_with_its_children(database: Database, monkeypatch, tmp_path):
    monkeypatch.setattr("base.network.notify.COMMAND_TIMEOUT_S", 0.5)
    fail(database)
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "child.wait()"
    )
    deliver_all(database, config(command(code, str(pid_file))))
    (one,) = database.events.deliveries()
    assert "did not end within 0.5 s" in (one.error or "")
    assert not running(int(pid_file.read_text() or 0))


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_mail(database: Database, secret_file: str):
    fail(database)
    with mail_server() as server:
        channel = {
            "name": "post", "kind": "mail", "host": "127.0.0.1", "port": port_of(server),
            "sender": "drystone@example.org", "to": ["ann@example.org", "nobody@example.org"],
            "user": "drystone", "password_file": secret_file,
        }  # fmt: skip
        deliver_all(database, config(channel))
        (mail,) = server.mails
        heard = b"".join(server.heard)
    assert mail["Subject"] == "Drystone: run_failed: run 12 (ua_1)"
    assert mail["Message-ID"] == f"<{json.loads(mail.get_content())['id']}@drystone>"
    assert b"AUTH PLAIN" in heard
    assert states(database) == {"post": "done"}


def test_a_subject_cannot_forge_headers(database: Database):
    database.events.add(
        "processing.failed", "x\r\nBcc: all@example.org\r\n\r\n\u202e" + "y" * 500, {}
    )
    with mail_server() as server:
        channel = {
            "name": "post", "kind": "mail", "host": "127.0.0.1", "port": port_of(server),
            "sender": "drystone@example.org", "to": ["ann@example.org"],
        }  # fmt: skip
        deliver_all(database, config(channel))
        (mail,) = server.mails
    assert mail["Bcc"] is None
    assert "Bcc: all" in mail["Subject"]
    assert states(database) == {"post": "done"}


def test_who_is_refused_everywhere_is_tried_again(database: Database):
    fail(database)
    with mail_server() as server:
        channel = {
            "name": "post", "kind": "mail", "host": "127.0.0.1", "port": port_of(server),
            "sender": "drystone@example.org", "to": ["nobody@example.org"],
        }  # fmt: skip
        deliver_all(database, config(channel))
    assert states(database) == {"post": "waiting"}


def test_a_secret_is_never_told(database: Database, secret_file: str):
    fail(database)
    os.chmod(secret_file, 0o644)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        channel = {"name": "web", "kind": "webhook", "url": url, "secret_file": secret_file}
        deliver_all(database, config(channel))
    (one,) = database.events.deliveries()
    assert (
        one.error == f"others may read the secret file {secret_file}: chown it to you and chmod 600"
    )
    os.chmod(secret_file, 0o600)
    assert read_secret(secret_file) == SECRET
    for content in (b"", b"  \n", b"x" * 5000):
        with open(secret_file, "wb") as file:
            file.write(content)
        with pytest.raises(ConfigError, match="must hold"):
            read_secret(secret_file)


def test_what_nobody_wants_is_not_told_later(database: Database):
    fail(database)
    deliver_all(database, config())
    with web_server() as server:
        deliver_all(database, config(webhook(server)))
        assert server.got == []
        database.events.add("space.low", "area 3c", {})
        database.events.add("processing.completed", "run 1", {})
        deliver_all(database, config(webhook(server, events=["quota", "run_done"])))
        kinds = [json.loads(body)["kind"] for _, body in server.got]
    assert kinds == ["quota", "run_done"]


def test_what_goes_to_a_channel_that_was_removed_ends_with_a_reason(database: Database):
    fail(database)
    gone = command("import sys; sys.exit(1)", name="gone")
    deliver_all(database, config(gone))
    make_due(database)
    scheduler = Clocked(database, config(command("", name="kept")))
    # Another scheduler may have it: it is left until this one has looked on for an hour.
    scheduler.look_on(59)
    assert states(database) == {"gone": "waiting"}
    scheduler.look_on(3)
    (one,) = database.events.deliveries("failed")
    assert (one.channel, one.error) == ("gone", deliver.ORPHANED)
    assert one.end_time is not None


class Clocked:
    """A scheduler's deliverer whose steady clock the test moves."""

    def __init__(self, database: Database, given: AlertsConfig) -> None:
        self.now_s = 0.0
        self.deliverer = Deliverer(given, database, STORE, steady=lambda: self.now_s)
        self.deliverer.tick()

    def look_on(self, minutes: int, step_s: float = 61.0) -> None:
        for _ in range(minutes):
            self.now_s += step_s
            self.deliverer.tick()
            self.deliverer.join()


def test_what_another_scheduler_tells_is_not_given_up_after_all_were_off(database: Database):
    fail(database)
    theirs = config(command("import sys; sys.exit(1)", name="theirs"))
    deliver_all(database, theirs)
    with database.connection() as connection:
        connection.execute("UPDATE delivery SET not_before = now() - interval '2 hours'")
    # Everything was off for two hours, and this scheduler is the first that is there again.
    scheduler = Clocked(database, config(command("", name="ours")))
    scheduler.look_on(30)
    # It was frozen itself, or its machine slept: that is nobody's fault.
    scheduler.look_on(1, step_s=100_000.0)
    assert states(database) == {"theirs": "waiting"}
    # The other one is there, but slow: it takes something now and then.
    for _ in range(3):
        make_due(database)
        deliver_all(database, theirs)
        make_due(database)
        scheduler.look_on(40)
    assert states(database) == {"theirs": "waiting"}


def test_pauses_double_up_to_an_hour():
    assert 3 < pause_s(1) < 7
    assert 15 < pause_s(3) < 25
    assert all(2_600 < pause_s(attempt) < 4_600 for attempt in (12, 60, 10_000))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[jobs.alerts.channel]]\nname = "x"\nkind = "webhook"', "needs url"),
        ('[[jobs.alerts.channel]]\nname = "x"\nkind = "mail"\nhost = "h"', "needs sender and to"),
        ('[[jobs.alerts.channel]]\nname = "x"\nkind = "pigeon"', "jobs.alerts.channel.0.kind"),
        ('[[jobs.alerts.channel]]\nname = "X Y"\nkind = "command"', "jobs.alerts.channel.0.name"),
        (
            '[[jobs.alerts.channel]]\nname = "x"\nkind = "webhook"\nurl = "file:///etc/passwd"',
            "url",
        ),
        ('[[jobs.alerts.channel]]\nname = "x"\nkind = "webhook"\nurl = "http://a\\r\\nb"', "url"),
        (
            '[[jobs.alerts.channel]]\nname = "x"\nkind = "mail"\nhost = "h"\nsender = "a@b"\n'
            'to = ["c@d\\r\\nBcc: e@f"]',
            "to",
        ),
        (2 * '[[jobs.alerts.channel]]\nname = "x"\nkind = "command"\ncommand = ["true"]\n', "same"),
        ("[jobs.alerts]\nshout = true", "jobs.alerts.shout"),
    ],
)
def test_a_wrong_section_is_refused_without_its_values(tmp_path, text: str, said: str):
    path = tmp_path / "drystone.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as refusal:
        load_alerts_config(str(path))
    assert "passwd" not in str(refusal.value)


def test_paths_of_secrets_are_beside_the_configuration(tmp_path):
    path = tmp_path / "drystone.toml"
    path.write_text(
        '[[jobs.alerts.channel]]\nname = "x"\nkind = "webhook"\nurl = "https://example.org"\n'
        'secret_file = "hook.secret"'
    )
    (channel,) = load_alerts_config(str(path)).channel
    assert channel.secret_file == str(tmp_path / "hook.secret")
    assert channel.wants("processing.failed")
    assert not channel.wants("processing.completed")
