"""Dead letters over HTTP and in the shell: what was not stored comes in when it is replayed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator

import gui_harness
import pytest
from gui_harness import PASSWORD, Answer, Scene
from store_checks import until
from typer.testing import CliRunner

from adapters import choose_adapter, run_ingest, settle_received
from adapters.cli.app import app
from adapters.receive import letters
from adapters.records.errors import AdapterError, BatchChangedError
from adapters.work.batch_work import BatchWork, Signal
from gui.access.people import add_user
from gui.core.server_process import api_process
from jobs.runs.control import RunControl
from sql import Outcome, ReceivedRow, Successors

BOUNDARY = "between-the-parts"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
HOSTILE = b'{"note": "<script>window.hacked=1</script>\\u202e", "image": "part:photo"}'


@pytest.fixture(scope="module")
def served(database_server: str, database_template: str) -> Iterator[Scene]:
    """A store of its own: batches that failed stay in its inbox."""
    with (
        gui_harness.scene(database_server, database_template) as made,
        gui_harness.served(made) as served,
    ):
        yield served


@pytest.fixture(scope="module")
def lena(served: Scene) -> str:
    add_user(served.database, "lena", "operator", PASSWORD)
    return served.token("lena", "operator")


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    lines: list[bytes] = []
    for name, file_name, data in parts:
        named = "" if file_name is None else f'; filename="{file_name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        lines += [head.encode(), data, b"\r\n"]
    return b"".join([*lines, f"--{BOUNDARY}--\r\n".encode()])


class Sent:
    """A request in its window, and what becomes of that."""

    def __init__(self, served: Scene, token: str, source: str, body: bytes) -> None:
        self.served, self.token = served, token
        sent = served.ask(
            "POST", f"/api/v1/ingest?source={source}", body, Authorization=token, Content_Type=FORM
        )
        assert sent.status == 202, sent.document
        self.request_id = sent.document["request_id"]
        self.batch = until(lambda: self.state()["ingest_batch"], "its window is closed")
        self.folder = os.path.join(served.store.config.area_path("3a"), self.batch)
        until(lambda: os.path.exists(f"{self.folder}/_READY.json"), "the window is in the inbox")
        until(self.is_known, "the database knows of it")

    def is_known(self) -> bool:
        row = self.served.database.received.request(self.request_id)
        return row is not None and row.batch == self.batch

    def state(self) -> dict:
        path = f"/api/v1/ingest/{self.request_id}"
        return self.served.ask("GET", path, Authorization=self.token).document

    def spoil(self, path: str, data: bytes) -> bytes:
        """Let its batch fail: a part changes after the listing was frozen. Return what it was."""
        signal = Signal(self.folder, self.batch, "json", "lena")
        BatchWork(os.path.dirname(self.folder), self.batch).freeze(signal)
        with open(os.path.join(self.folder, path), "r+b") as file:
            former = file.read()
            file.seek(0)
            file.truncate()
            file.write(data)
        with pytest.raises(BatchChangedError):
            run_ingest(self.served.store.config_path, signal)
        settle_received(self.served.store.config_path, self.served.database)
        return former

    def letters(self, query: str = "") -> list[dict]:
        found = ask(self.served, self.token, f"?request_id={self.request_id}{query}")
        return found.document["letters"]


def ask(served: Scene, token: str, path: str = "", body: bytes | None = None) -> Answer:
    method = "GET" if body is None else "POST"
    return served.ask(
        method, f"/api/v1/dead-letters{path}", body, Authorization=token,
        Content_Type="application/json",
    )  # fmt: skip


def come_in(served: Scene, batch: str) -> None:
    folder = os.path.join(served.store.config.area_path("3a"), batch)
    signal = Signal(folder, batch, choose_adapter(folder, "json"), "lena")
    run_ingest(served.store.config_path, signal)
    settle_received(served.store.config_path, served.database)


def told(served: Scene, token: str, sent: Sent, kind: str) -> list[dict]:
    path = f"/api/v1/events?after=0&type={kind}&subject=request%20{sent.request_id}"
    return served.ask("GET", path, Authorization=token).document["events"]


@pytest.mark.fault
def test_what_was_not_stored_is_a_dead_letter_until_its_replay_is_in(served: Scene, lena: str):
    body = form(
        ("payload", None, HOSTILE),
        ("photo", "photo.txt", b"a photo of words"),
        ("files[]", "other.txt", b"other words"),
        ("tags", None, b"replayed"),
    )
    sent = Sent(served, lena, "letters", body)
    assert [one["data"]["parts"] for one in told(served, lena, sent, "request.accepted")] == [3]
    former = sent.spoil("letters/000003.txt", b"another's words")
    assert (sent.state()["state"], sent.state()["parts_failed"]) == ("failed", 3)
    (failed,) = told(served, lena, sent, "request.failed")
    assert failed["data"]["parts_failed"] == 3 and failed["data"]["batch"] == sent.batch
    # Nobody else is told of it, but for admins.
    add_user(served.database, "ludo", "operator", PASSWORD)
    ludo, ada = served.token("ludo", "operator"), served.token("ada", "admin")
    assert told(served, ludo, sent, "request.failed") == []
    assert len(told(served, ada, sent, "request.failed")) == 1
    assert ask(served, ludo).document == {"letters": [], "next": None}
    assert ask(served, served.token("vera", "viewer")).status == 403

    words, photo, other = sent.letters()
    assert [one["file_name"] for one in (words, photo, other)] == [None, "photo.txt", "other.txt"]
    assert {one["state"] for one in (words, photo, other)} == {"open"}
    assert all("changed" in one["reason"] and one["failures"] == 1 for one in sent.letters())
    shown = ask(served, lena, f"/{words['letter_id']}").document
    assert shown["payload"] == HOSTILE.decode() and shown["size_bytes"] == len(HOSTILE)
    assert ask(served, ludo, f"/{words['letter_id']}").status == 404
    for refused in (b"{}", b'{"every": true, "letters": [1]}'):
        assert ask(served, lena, "/replay", refused).status == 400
    number = b'{"letters": [%d]}' % words["letter_id"]
    assert ask(served, ludo, "/replay", number).status == 404

    # All of them: what is not what was accepted stays, and the object takes its file along.
    every = b'{"request_id": "%s"}' % sent.request_id.encode()
    done = ask(served, lena, "/replay", every).document
    assert done["replayed"] == 2
    assert [one["letter_id"] for one in done["refused"]] == [other["letter_id"]]
    (batch,) = done["ingest_batches"]
    assert ask(served, lena, "/replay", number).status == 400, "it comes in already"
    come_in(served, batch)
    states = {one["letter_id"]: one["state"] for one in sent.letters("&all_states=true")}
    assert [states[one["letter_id"]] for one in (words, photo, other)] == ["done", "done", "open"]
    parts = sent.state()["part_states"]
    assert [one["state"] for one in parts] == ["described", "described", "failed"]
    assert "changed since it was accepted" in parts[2]["reason"]
    assert os.path.isdir(sent.folder), "a payload lies there still"
    with served.database.reading() as connection:
        (attached,) = connection.execute(
            "SELECT count(*) FROM edge JOIN relationship USING (relationship_id)"
            " JOIN node AS child ON child.node_id = child_node_id"
            " WHERE description = 'attached' AND encode(child.sha256, 'hex') = %s",
            [photo["system_id"]],
        ).fetchone()
    assert attached == 1

    # One, after somebody put its payload right; the shell does the same.
    with open(os.path.join(sent.folder, "letters/000003.txt"), "wb") as file:
        file.write(former)
    config = ["--config", served.store.config_path]
    listed = CliRunner().invoke(app, ["request", "letters", "--request", sent.request_id, *config])
    assert "other.txt" in listed.output and "photo.txt" not in listed.output
    words_of = ["request", "letter", str(other["letter_id"]), *config]
    assert "other words" in CliRunner().invoke(app, words_of).output
    words_of = ["request", "replay", str(other["letter_id"]), "--json", *config]
    assert CliRunner().invoke(app, words_of).exit_code == 0
    (letter,) = sent.letters("&all_states=true")[2:]
    assert letter["state"] == "replaying" and sent.state()["state"] == "accepted"
    come_in(served, letter["ingest_batch"])
    assert sent.state()["state"] == "described" and sent.letters() == []
    assert not os.path.exists(sent.folder), "nothing needs it any more"
    assert len(told(served, lena, sent, "request.failed")) == 1


@pytest.mark.fault
def test_a_replay_that_fails_is_a_dead_letter_again(served: Scene, lena: str):
    """Also when it comes in after all, by another run of it."""
    sent = Sent(served, lena, "again", form(("files[]", "a.txt", b"words of a")))
    sent.spoil("again/000001.txt", b"others")
    with open(f"{sent.folder}/again/000001.txt", "wb") as file:
        file.write(b"words of a")
    (letter,) = sent.letters()
    body = b'{"letters": [%d]}' % letter["letter_id"]
    (batch,) = ask(served, lena, "/replay", body).document["ingest_batches"]
    run_id = let_fail(served, batch)
    (again,) = sent.letters()
    assert (again["failures"], again["ingest_batch"]) == (2, batch)
    assert again["reason"] == f"run {run_id}: ingest: no luck"
    assert len(told(served, lena, sent, "request.failed")) == 2
    settle_received(served.store.config_path, served.database)
    assert len(told(served, lena, sent, "request.failed")) == 2, "it is told once"
    come_in(served, batch)
    assert sent.letters() == [] and sent.state()["state"] == "described"


def let_fail(served: Scene, batch: str) -> int:
    """Let a run of a folder of the inbox fail; return its number."""
    control = RunControl(served.store.config_path, served.database)
    folder = os.path.join(served.store.config.area_path("3a"), batch)
    run, _ = control.start("ua_1", {"folder": folder})
    (task,) = served.database.runs.show(run.run_id).tasks
    fail(served, task.task_id)
    settle_received(served.store.config_path, served.database)
    return run.run_id


@pytest.mark.fault
def test_what_failed_twice_is_done_when_its_first_batch_comes_in(served: Scene, lena: str):
    sent = Sent(served, lena, "first", form(("files[]", "a.txt", b"words of the first")))
    path = f"{sent.folder}/first/000001.txt"
    was = os.stat(path)
    former = sent.spoil("first/000001.txt", b"others")
    with open(path, "wb") as file:
        file.write(former)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    body = b'{"request_id": "%s"}' % sent.request_id.encode()
    (batch,) = ask(served, lena, "/replay", body).document["ingest_batches"]
    let_fail(served, batch)
    (letter,) = sent.letters()
    assert (letter["state"], letter["ingest_batch"]) == ("open", batch)
    come_in(served, sent.batch)  # As `run retry` does.
    assert sent.letters() == [] and sent.state()["state"] == "done"
    assert not os.path.exists(os.path.join(os.path.dirname(sent.folder), batch))
    settle_received(served.store.config_path, served.database)
    served.database.received.forget(0.0)
    assert served.database.received.request(sent.request_id) is None, "nothing holds it"


@pytest.mark.fault
def test_what_two_replay_at_once_comes_in_once_and_a_kill_gives_it_back(served: Scene, lena: str):
    sent = Sent(served, lena, "twice", form(("files[]", "a.txt", b"words of two")))
    former = sent.spoil("twice/000001.txt", b"others")
    with open(f"{sent.folder}/twice/000001.txt", "wb") as file:
        file.write(former)
    book, config_path = served.database.received, served.store.config_path
    # Killed before its folder was in the inbox; nothing is given back while somebody is at it.
    (row,) = book.letters(request_id=sent.request_id)
    inbox, killed = os.path.dirname(sent.folder), "received-20260101-000000-killed"
    with BatchWork(inbox, killed).locked():
        os.mkdir(os.path.join(inbox, f".{killed}"))
        assert book.replaying(killed, {row.letter_id: "twice/000007.txt"}) == 1
        settle_received(config_path, served.database)
        assert [one.state for one in book.letters(request_id=sent.request_id)] == ["replaying"]
    settle_received(config_path, served.database)
    assert book.letters(request_id=sent.request_id) == [row]
    assert not os.path.exists(os.path.join(inbox, f".{killed}"))
    # Both found it open.
    first = letters.replay(config_path, served.database, [row])
    second = letters.replay(config_path, served.database, [row])
    assert (first.replayed, second.replayed, second.batches) == (1, 0, [])
    settle_received(config_path, served.database)
    (again,) = book.letters(request_id=sent.request_id)
    assert (again.state, [again.batch]) == ("replaying", first.batches)
    come_in(served, again.batch)
    assert sent.letters() == [] and sent.state()["state"] == "described"
    assert not os.path.exists(sent.folder)


@contextlib.contextmanager
def failed_of(served: Scene, account: str, parts: int) -> Iterator[None]:
    """A request of somebody whose parts are all dead letters."""
    book = served.database.received
    request_id = hashlib.md5(account.encode()).hexdigest()
    row = ReceivedRow(
        request_id=request_id, account=account, owner="", source="mass", time_s=time.time(),
        keys=bytes(32 * parts), about="{}", batch=f"received-of-{account}", first_place=0,
    )  # fmt: skip
    book.tell([row], book.progress())
    paths = [f"mass/{place:06d}.json" for place in range(parts)]
    book.failed(f"received-of-{account}", f"no luck of {account}", lambda _: paths)
    yield
    with served.database.connection() as connection:
        connection.execute("DELETE FROM received_request WHERE request_id = %s", [request_id])


@pytest.mark.asyncio
async def test_what_many_others_failed_of_hides_nothing_on_the_page(served: Scene, lena: str):
    with failed_of(served, "somebody", 101), failed_of(served, "lena", 1):
        async with gui_harness.simulated(served, "lena") as (user, _):
            await user.open("/received")
            await user.should_see("no luck of lena")
            await user.should_not_see("no luck of somebody")
            await user.should_not_see("The first 100")
        async with gui_harness.simulated(served, "ada") as (user, _):
            await user.open("/received")
            await user.should_see("no luck of somebody")
            await user.should_see("The first 100; `drystone request letters` has all of them.")


def fail(served: Scene, task_id: int) -> None:
    claim = served.database.runs.claim(task_id, "w")
    assert claim is not None
    outcome = Outcome(state="failed", error="no luck", retry=False)
    served.database.runs.finish(task_id, claim.token, outcome, lambda *_: Successors())


@pytest.fixture
def settings(served: Scene) -> Iterator[str]:
    """A [receive] section in drystone.toml, for as long as the test."""
    path = served.store.config_path
    with open(path, encoding="utf-8") as file:
        former = file.read()
    with open(path, "a", encoding="utf-8") as file:
        file.write('\n[receive]\nattempts_max = 2\nbackoff_s = 0.0\nnot_retried = ["adapter"]\n')
    yield path
    with open(path, "w", encoding="utf-8") as file:
        file.write(former)


def test_windows_are_tried_as_often_as_the_settings_say(served: Scene, lena: str, settings: str):
    from jobs.core.errors import PermanentError
    from jobs.runs.control import make_request
    from jobs.runs.workflows.ingest_run import _check_retried

    sent = Sent(served, lena, "tries", form(("files[]", "t.txt", b"words of t")))
    asked = make_request(settings, "ua_1", {"folder": sent.folder})
    assert (asked.first_task.attempts_max, asked.first_task.backoff_s) == (2, 0.0)
    demo = os.path.join(os.path.dirname(sent.folder), "by-hand")
    os.makedirs(demo, exist_ok=True)
    other = make_request(settings, "ua_1", {"folder": demo, "batch": "b", "source": "json"})
    assert (other.first_task.attempts_max, other.first_task.backoff_s) == (5, 10.0)
    os.rmdir(demo)
    with pytest.raises(PermanentError, match="it is so"):
        _check_retried(settings, AdapterError("it is so"))
    _check_retried(settings, BatchChangedError("it may be put right"))
    come_in(served, sent.batch)


@pytest.mark.fault
def test_what_was_accepted_is_told_once_whenever_the_port_ends(served: Scene, lena: str):
    sent = Sent(served, lena, "told", form(("files[]", "told.txt", b"told words")))
    # As a database that was restored: it knows less than the journal.
    with served.database.connection() as connection:
        connection.execute("UPDATE received_progress SET sequence = 0")
        connection.execute("DELETE FROM received_request WHERE request_id = %s", [sent.request_id])
    api_process(served.config).stop()
    served.address = api_process(served.config).start()[0].address
    # The port opens its journals when something is asked of them.
    until(lambda: sent.state().get("state"), "it answers")
    until(sent.is_known, "it is told again")
    accepted = told(served, lena, sent, "request.accepted")
    assert len(accepted) == 2, "once before, and once to the database that knew nothing of it"
    come_in(served, sent.batch)
    assert sent.state()["state"] == "done"
