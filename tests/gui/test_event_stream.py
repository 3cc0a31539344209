"""Server-sent events: told as they happen, gone on from, and ended with the right to them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from gui_harness import PASSWORD, Scene

from gui.access.people import add_user
from sql.intent.intent import load_intent
from sql.rights.grant_book import NewGrant

KIND = "processing.trial"


class Told:
    """An answer of server-sent events, read block by block."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer

    def block(self) -> dict[str, str]:
        """Return the fields of the next event or beat; none of them at the end."""
        found = dict[str, str]()
        while line := self.answer.readline().decode():
            if line == "\n":
                return found
            name, _, value = line.rstrip("\n").partition(": ")
            found[name] = value
        return {}

    def event(self) -> dict[str, Any]:
        """Return the next event."""
        while "data" not in (found := self.block()):
            assert found, "the stream ended"
        document = json.loads(found["data"])
        assert document["position"] == int(found["id"])
        return document

    def has_ended(self) -> bool:
        """Read to the end; tell whether no event came before it."""
        while found := self.block():
            if "data" in found:
                return False
        return True


@contextmanager
def told(served: Scene, query: str = "", **headers: str) -> Iterator[Told]:
    parts = urlsplit(served.address)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=60)) as connection:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"/api/v1/events{query}", headers=given | {"Accept": ACCEPT})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert (answer.getheader("content-type") or "").startswith("text/event-stream")
        yield Told(answer)


ACCEPT = "text/event-stream"


def happen(served: Scene, subject: str) -> None:
    served.database.events.add(KIND, subject, {"n": 1})


def test_events_are_told_as_they_happen_and_gone_on_from(served: Scene):
    header = {"Authorization": served.token("vera", "viewer")}
    begin = served.ask("GET", "/api/v1/events", **header).document["next_after"]
    with told(served, f"?type={KIND}", **header) as stream:
        first = stream.block()
        assert int(first["id"]) >= begin and first["retry"] == "2000"
        happen(served, "run 1")
        happen(served, "run 2\r\n\u2028data: no event of its own")
        one, two = stream.event(), stream.event()
        assert (one["type"], one["subject"], one["data"]) == (KIND, "run 1", {"n": 1})
        assert two["subject"] == "run 2\r\n\u2028data: no event of its own"
        served.database.events.add("processing.other", "run 3", {})
        last = served.ask("GET", "/api/v1/events", **header).document["next_after"]
        while int((beat := stream.block())["id"]) < last:
            assert "data" not in beat and "" in beat
    # What the reader had last counts, wherever its address began.
    with told(served, f"?type={KIND}&after=0", Last_Event_ID=str(one["position"]), **header) as on:
        assert on.block()["id"] == str(one["position"])
        assert on.event()["id"] == two["id"]
    part = served.ask("GET", f"/api/v1/events?after={begin}&type={KIND}", **header).document
    assert [event["id"] for event in part["events"]] == [one["id"], two["id"]]


def test_what_cannot_be_told_is_one_clear_answer(served: Scene):
    header = {"Authorization": served.token("vera", "viewer"), "Accept": ACCEPT}
    for query, last, status, code, words in (
        ("", "x", 400, "usage", "Last-Event-ID 'x' is no position in the feed"),
        ("", "-1", 400, "usage", "is no position"),
        ("", "9" * 30, 400, "usage", "is no position"),
        ("", "99999999", 410, "events_gone", "begin at 0"),
        ("?after=99999999", "", 410, "events_gone", "begin at 0"),
        ("?limit=3", "", 422, "wrong_request", ""),
    ):
        answer = served.ask("GET", f"/api/v1/events{query}", Last_Event_ID=last or None, **header)
        assert (answer.status, answer.document["code"]) == (status, code), answer.body
        assert words in answer.document["detail"]
    assert served.ask("GET", "/api/v1/events", Accept=ACCEPT).status == 401


@pytest.mark.parametrize("how", ["token", "session", "role", "stream"])
def test_a_stream_ends_with_the_right_to_it(served: Scene, how: str):
    name = f"ev-{how}"
    add_user(served.database, name, "operator", PASSWORD)
    secret = served.token(name, "viewer")
    header = {"Cookie": served.log_in(name)} if how == "session" else {"Authorization": secret}
    path = "/follow" if how == "stream" else ""
    users = served.database.users
    parts = urlsplit(served.address)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=60)) as connection:
        given = header | ({} if how == "stream" else {"Accept": ACCEPT})
        connection.request("GET", f"/api/v1/events{path}?after=0", headers=given)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.readline()
        match how:
            case "session":
                served.ask("POST", "/logout", **header)
            case "role":
                users.set_role(name, "labeller")
            case _:
                users.set_disabled(name, is_disabled=True)
        served.database.events.add(KIND, "run 1", {"n": name})
        # What was read before is told; what is read after is not.
        assert name.encode() not in answer.read()
    again = served.ask("GET", "/api/v1/events", Accept=ACCEPT, **header)
    assert again.status == 401


@pytest.mark.usefixtures("no_grants")
def test_a_guest_is_told_what_it_may_see_when_it_is_read(served: Scene):
    add_user(served.database, "ev-gus", "guest", PASSWORD)
    for batch in ("ev-march", "ev-april"):
        served.database.ingests.open(batch, adapter="t", user="ada", folder=f"/{batch}")
    grant = served.database.rights.add(
        NewGrant(level="viewer", granted_by="ada", account="ev-gus", batch="ev-march")
    )

    def brought(batch: str, post: str) -> None:
        virtual = [{"description": f"t:post:{post}"}]
        document = {"intent_id": post, "ingest_batch": batch, "virtual_nodes": virtual}
        served.database.apply_intent(load_intent(document))
        served.database.events.feed()  # As the scheduler does: a guest gives no places.

    with told(served, Cookie=served.log_in("ev-gus")) as stream:
        stream.block()
        brought("ev-april", "a1")
        brought("ev-march", "m1")
        assert stream.event()["subject"] == "batch ev-march"
        served.database.rights.revoke(grant)
        brought("ev-march", "m2")
        last = served.database.events.feed(0, limit=1_000)[1]
        while int((found := stream.block())["id"]) < last:
            assert "data" not in found
