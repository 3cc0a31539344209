"""Webhooks told by the deliverer: order, ids, repeats, secrets, rights, and what is kept."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from webhook_place import HASH, HERE, OWNER, Hook, Place, Receiver

from base.errors import UsageError
from base.operations.operation import Caller
from jobs.notify import webhooks as telling
from jobs.runs import webhook_operations as operations
from sql import Database, Taken, TakenMessage
from sql.core.errors import NotFoundError
from sql.intent.intent import load_intent
from sql.rights.grant_book import NewGrant


def test_what_happens_is_told_in_order_signed_and_once(place: Place, hook: Hook):
    place.happen("before")
    made = place.add(hook.url, types=["processing.failed"])
    place.happen("run 1", "run 2")
    place.happen("run 2", kind="processing.completed")
    place.happen("run 3")
    place.deliver()
    place.deliver()
    assert [one["subject"] for one in hook.documents] == ["run 1", "run 2", "run 3"]
    feed = {str(one.id): one for one in place.database.events.feed(0)[0]}
    for headers, body in hook.got:
        document = Verifier(made.signing_secret).verify(body, headers)
        assert feed[document["id"]].position == document["position"]
        assert document["type"] == "processing.failed"
        assert document["data"] == {"reason": "no \x1b space"}
    assert [one.state for one in place.deliveries()] == ["done"] * 3
    whole = operations.delivery(
        place.session,
        OWNER,
        operations.OneDelivery(name="ops", delivery_id=place.deliveries()[0].delivery_id),
    )
    assert (whole.status, whole.attempts, whole.about) == (204, 1, "processing.failed run 3")
    assert json.loads(whole.request or "")["subject"] == "run 3" and whole.duration_s


def test_one_connection_does_for_all(place: Place, hook: Hook):
    ports = set[int]()

    def answer(one: Receiver) -> None:
        ports.add(one.client_address[1])
        one.say(200, b"x" * 100_000 if len(hook.got) == 5 else b"fine")

    hook.answer = answer
    place.add(hook.url)
    place.happen(*(f"run {n}" for n in range(9)))
    place.deliver()
    assert [one["subject"] for one in hook.documents] == [f"run {n}" for n in range(9)]
    assert len(ports) == 2, "one that answers at length is not read to the end"


def test_several_are_told_together(place: Place, hook: Hook):
    place.add(hook.url, batch_max=4)
    place.happen(*(f"run {n}" for n in range(10)))
    place.deliver()
    assert [[one["subject"] for one in told["events"]] for told in hook.documents] == [
        [f"run {n}" for n in range(begin, min(begin + 4, 10))] for begin in (0, 4, 8)
    ]
    with pytest.raises(UsageError, match="at most 10 events"):
        place.add(hook.url, "more", batch_max=11)


def test_a_message_keeps_its_id_and_its_place_until_it_is_taken(place: Place, hook: Hook):
    answers = iter([500, 503, 404, 200])
    hook.answer = lambda one: one.say(next(answers, 200), b"because of \x1b[2J")
    place.add(hook.url)
    place.happen("run 1", "run 2")
    for _ in range(3):
        place.deliver()
        place.deliver()
        (first,) = [one for one in place.deliveries() if one.attempts]
        assert first.state == "waiting" and first.about == "processing.failed run 1"
        place.make_due()
    assert (place.found().state, place.found().waiting) == ("failing", 2)
    assert first.error == "the webhook answered 404"
    place.deliver()
    ids = [headers["webhook-id"] for headers, _ in hook.got]
    assert [one["subject"] for one in hook.documents] == ["run 1"] * 4 + ["run 2"]
    assert len(set(ids[:4])) == 1 and len(set(ids)) == 2
    assert (place.found().state, place.found().waiting) == ("active", 0)


def test_tries_are_quick_and_then_seldom():
    assert [telling.pause_s(count) for count in (1, 2)] == [1.0, 5.0]
    waited_s = [telling.pause_s(count) for count in range(3, 60)]
    assert 20 < waited_s[0] < 40 and all(2_000 < one < 4_600 for one in waited_s[8:])


def test_after_two_days_it_is_paused_and_that_is_an_event(place: Place, hook: Hook):
    hook.answer = lambda one: one.say(500)
    place.add(hook.url)
    place.happen("run 1", "run 2")
    place.deliver()
    with place.database.connection() as connection:
        connection.execute("UPDATE webhook SET failing_since = now() - interval '2 days 1 min'")
    place.make_due()
    place.deliver()
    assert place.found().state == "paused"
    assert place.found().pause_reason == ("it has taken nothing for 48 h: the webhook answered 500")
    (told,) = place.database.events.feed(0, types=["webhook.paused"])[0]
    assert told.subject == "webhook ops" and told.data["waiting"] == 2
    place.make_due()
    place.deliver()
    assert len(hook.got) == 2, "a paused one is told nothing"
    hook.answer = lambda one: one.say(200)
    operations.resume(place.session, OWNER, operations.ResumeRequest(name="ops", skip=True))
    place.deliver()
    place.deliver()
    subjects = [one["subject"] for one in hook.documents]
    assert subjects == ["run 1", "run 1", "run 2", "webhook ops"]
    passed = place.deliveries()[-1]
    assert passed.state == "failed"
    operations.retry(
        place.session, OWNER, operations.OneDelivery(name="ops", delivery_id=passed.delivery_id)
    )
    place.deliver()
    assert hook.documents[-1]["subject"] == "run 1"
    assert hook.got[-1][0]["webhook-id"] == hook.got[0][0]["webhook-id"]


def test_whoever_dies_over_messages_has_them_told_again_in_order(place: Place, hook: Hook):
    place.add(hook.url)
    place.happen("run 1", "run 2", "run 3")
    (webhook_id,) = (one.webhook_id for one in place.database.webhooks.webhooks())
    dead = telling.WebhookTeller(place.database, HERE, webhook_id, threading.Event())
    planned = place.database.webhooks.take(webhook_id, 20, 60.0)
    assert planned is not None and planned.messages == []
    assert dead._plan(planned.webhook)
    taken = place.database.webhooks.take(webhook_id, 20, 60.0)
    assert taken is not None and len(taken.messages) == 3
    tell_first(place, taken)
    place.deliver()
    assert len(hook.got) == 1, "the lease of who is dead holds"
    place.make_due()
    place.deliver()
    assert [one["subject"] for one in hook.documents] == ["run 1", "run 1", "run 2", "run 3"]
    assert hook.got[0][0]["webhook-id"] == hook.got[1][0]["webhook-id"]
    late(place, taken, taken.messages[2])
    assert {one.state for one in place.deliveries()} == {"done"}, "the dead say nothing"


def tell_first(place: Place, taken: Taken) -> None:
    """Post the first of the messages that were taken, as whoever dies right after it."""
    with telling.poster_of(taken.webhook, taken.secrets, HERE) as poster:
        first = taken.messages[0]
        events = place.database.events.at(first.positions)
        body = telling.body_of(taken.webhook, [*events.values()])
        telling.tell(poster, taken.webhook, taken.secrets, str(first.message_id), body)


def late(place: Place, taken: Taken, message: TakenMessage) -> None:
    """Say that this message was not taken."""
    nothing = telling.Try("", 500, "", 0.1, "late")
    place.database.webhooks.postpone(taken, [], message, nothing, telling.pause_s, 0.0)


# ---- While a try is going on ---------------------------------------------------------------------


class Held:
    """A receiver that answers a message when it is told to, and whoever tells it meanwhile."""

    def __init__(self, place: Place, hook: Hook, subject: str, status: int = 204) -> None:
        self._place, self._let_go, has_it = place, threading.Event(), threading.Event()

        def answer(one: Receiver) -> None:
            if hook.documents[-1]["subject"] == subject and not has_it.is_set():
                has_it.set()
                assert self._let_go.wait(60)
                one.say(status)
            else:
                one.say(204)

        hook.answer = answer
        self._thread = threading.Thread(target=place.deliver)
        self._thread.start()
        assert has_it.wait(60)

    def end(self) -> None:
        self._let_go.set()
        self._thread.join()


def asked(place: Place, about: str) -> operations.OneDelivery:
    (found,) = [one for one in place.deliveries() if (one.about or "").endswith(about)]
    return operations.OneDelivery(name="ops", delivery_id=found.delivery_id)


@pytest.mark.parametrize("what", ["resume", "retry it", "retry an earlier one"])
def test_what_is_asked_for_while_it_is_told_is_not_told_twice(place: Place, hook: Hook, what: str):
    place.add(hook.url)
    place.happen("run 0")
    place.deliver()
    place.happen("run 1", "run 2")
    held = Held(place, hook, "run 1")
    if what == "resume":
        operations.resume(place.session, OWNER, operations.ResumeRequest(name="ops"))
    else:
        about = "run 1" if what == "retry it" else "run 0"
        operations.retry(place.session, OWNER, asked(place, about))
    place.deliver()  # Another that tells, beside the one that is held.
    assert len(hook.got) == 2
    held.end()
    place.deliver()
    again = ["run 0"] if what == "retry an earlier one" else []
    told = [one["subject"] for one in hook.documents]
    assert told == ["run 0", "run 1", "run 2", *again]
    assert {one.state for one in place.deliveries()} == {"done"}


def test_a_try_that_fails_after_a_resume_counts_as_the_first(place: Place, hook: Hook):
    place.add(hook.url)
    hook.answer = lambda one: one.say(500)
    place.happen("run 1")
    for _ in range(4):
        place.deliver()
        place.make_due()
    assert place.deliveries()[0].attempts == 4
    held = Held(place, hook, "run 1", status=503)
    operations.resume(place.session, OWNER, operations.ResumeRequest(name="ops"))
    held.end()
    (waiting,) = place.deliveries()
    assert (waiting.state, waiting.attempts) == ("waiting", 1)
    place.make_due()
    place.deliver()
    assert place.deliveries()[0].state == "done"


@pytest.mark.parametrize(("status", "state"), [(204, "done"), (500, "failed")])
def test_one_that_is_passed_over_while_it_is_told(
    place: Place, hook: Hook, status: int, state: str
):
    place.add(hook.url)
    place.happen("run 1", "run 2")
    held = Held(place, hook, "run 1", status)
    operations.resume(place.session, OWNER, operations.ResumeRequest(name="ops", skip=True))
    held.end()
    place.deliver()
    assert [one["subject"] for one in hook.documents] == ["run 1", "run 2"]
    assert [one.state for one in reversed(place.deliveries())] == [state, "done"]
    assert place.found().state == "active"


def test_what_comes_late_of_an_old_try_is_nothing_for_a_newer_one(place: Place, hook: Hook):
    place.add(hook.url)
    place.happen("run 1", "run 2")
    (webhook_id,) = (one.webhook_id for one in place.database.webhooks.webhooks())
    hook.answer = lambda one: one.say(500)
    place.deliver()
    place.make_due()
    frozen = place.database.webhooks.take(webhook_id, 20, 60.0)
    assert frozen is not None
    place.make_due()
    hook.answer = lambda one: one.say(204)
    place.deliver()
    operations.retry(place.session, OWNER, asked(place, "run 1"))
    held = Held(place, hook, "run 1")
    late(place, frozen, frozen.messages[0])
    done = [(one, "done", telling.Try("", 204, "", 0.1)) for one in frozen.messages]
    place.database.webhooks.end(frozen, done)
    assert [one.state for one in reversed(place.deliveries())] == ["waiting", "done"]
    place.deliver()
    assert len(hook.got) == 4, "the newer one has it still"
    held.end()
    assert [one.state for one in reversed(place.deliveries())] == ["done", "done"]
    assert len(hook.got) == 4 and place.found().state == "active"


def test_secrets_rotate_with_an_overlap(place: Place, hook: Hook):
    first = place.add(hook.url).signing_secret
    asked = operations.RotateRequest(name="ops", overlap_h=1)
    second = operations.rotate(place.session, OWNER, asked).signing_secret
    place.happen("run 1")
    place.deliver()
    headers, body = hook.got[-1]
    for secret in (first, second):
        Verifier(secret).verify(body, headers)
    asked = operations.RotateRequest(name="ops", overlap_h=0)
    third = operations.rotate(place.session, OWNER, asked).signing_secret
    place.happen("run 2")
    place.deliver()
    headers, body = hook.got[-1]
    Verifier(third).verify(body, headers)
    for secret in (first, second):
        with pytest.raises(Exception, match="No matching signature"):
            Verifier(secret).verify(body, headers)


# ---- Whose it is ---------------------------------------------------------------------------------


def account(place: Place, name: str, role: Any) -> Caller:
    user = place.database.users.add(name, role, HASH)
    return Caller(name, role, user.user_id)


def batch(place: Place, name: str, *posts: str) -> None:
    place.database.ingests.open(name, adapter="t", user="ada", folder=f"/{name}")
    virtual = [{"description": f"t:post:{post}"} for post in posts]
    intent = {"intent_id": name, "ingest_batch": name, "virtual_nodes": virtual}
    place.database.apply_intent(load_intent(intent))


def test_each_is_told_what_its_owner_may_see(place: Place, hook: Hook):
    oskar, other = account(place, "oskar", "operator"), account(place, "otto", "operator")
    account(place, "gus", "guest")
    for name, caller, owner in (
        ("all", OWNER, None), ("mine", oskar, None), ("guest", OWNER, "gus"),
    ):  # fmt: skip
        place.add(f"{hook.url}&{name}", name, caller, owner=owner)
    with pytest.raises(UsageError, match="only admins"):
        place.add(hook.url, "more", oskar, owner="gus")
    batch(place, "march", "1")
    batch(place, "april", "2")
    place.database.rights.add(NewGrant(level="api", granted_by="ada", account="gus", batch="march"))
    place.happen("run 1")
    place.deliver()
    got = {name: [one.about for one in reversed(place.deliveries(name))] for name in
           ("all", "mine", "guest")}  # fmt: skip
    created = ["node.created batch march", "node.created batch april"]
    assert got["all"] == [*created, "permission.changed account gus", "processing.failed run 1"]
    assert got["mine"] == [*created, "processing.failed run 1"]
    assert got["guest"] == ["node.created batch march"]
    # Another's is as one that is not there.
    with pytest.raises(NotFoundError, match="no webhook 'mine'"):
        operations.show(place.session, other, operations.OneWebhook(name="mine"))
    assert operations.webhooks(place.session, other, operations.NoRequest()) == []
    assert len(operations.webhooks(place.session, oskar, operations.NoRequest())) == 1


def test_what_is_taken_back_before_a_try_is_not_told(place: Place, hook: Hook):
    account(place, "gus", "guest")
    place.add(hook.url, owner="gus")
    hook.answer = lambda one: one.say(500)
    batch(place, "march", "1")
    grant = place.database.rights.add(
        NewGrant(level="api", granted_by="ada", account="gus", batch="march")
    )
    place.deliver()
    assert len(hook.got) == 1
    place.database.rights.revoke(grant)
    place.make_due()
    place.deliver()
    assert len(hook.got) == 1
    assert [one.state for one in place.deliveries()] == ["withheld"]


def test_nothing_is_told_for_an_account_that_is_disabled(place: Place, hook: Hook):
    oskar = account(place, "oskar", "operator")
    place.add(hook.url, caller=oskar)
    place.happen("run 1")
    place.database.users.set_disabled("oskar", is_disabled=True)
    place.deliver()
    assert hook.got == [] and place.found().state == "paused"
    assert place.found().pause_reason == "the account of its owner, oskar, is disabled"


def test_nothing_is_told_for_who_may_read_no_events(place: Place, hook: Hook):
    oskar = account(place, "oskar", "operator")
    place.add(hook.url, caller=oskar)
    place.happen("run 1")
    place.database.users.set_role("oskar", "labeller")
    place.deliver()
    assert hook.got == [] and place.found().state == "paused"
    assert place.found().pause_reason == (
        "its owner, oskar, is a labeller, and those read no events"
    )
    with pytest.raises(UsageError, match="labeller"):
        place.add(hook.url, "more", owner="oskar")


def test_a_guest_is_told_nothing_where_there_can_be_none(
    place: Place, hook: Hook, monkeypatch: pytest.MonkeyPatch
):
    account(place, "gus", "guest")
    place.add(hook.url, owner="gus")
    place.happen("run 1")
    for role in ("reader_role", "guest_role"):
        monkeypatch.setattr(place.database, role, False)
    place.deliver()
    assert hook.got == [] and place.found().state == "paused"
    assert place.found().pause_reason.startswith("its owner is a guest: ")


def test_a_selector_lets_through_events_about_batches_that_have_some_of_it(
    place: Place, hook: Hook
):
    where = {"description": "t:post:2"}
    place.add(hook.url, selector={"version": 1, "where": where})
    batch(place, "march", "1")
    batch(place, "april", "2", "3")
    place.happen("run 1")
    place.deliver()
    assert [one["subject"] for one in hook.documents] == ["batch april", "run 1"]


# ---- What is kept --------------------------------------------------------------------------------


def test_the_feed_keeps_what_is_still_to_be_told_and_says_what_is_gone(place: Place, hook: Hook):
    place.add(hook.url, "slow")
    place.add(hook.url, "paused")
    operations.pause(place.session, OWNER, operations.OneWebhook(name="paused"))
    place.happen("run 1", "run 2")
    place.database.events.plan(lambda _: [])
    with place.database.connection() as connection:
        connection.execute("UPDATE event SET create_time = now() - interval '8 days'")
    assert place.database.events.forget(7 * 86_400) == 0
    place.deliver()
    assert place.database.events.forget(7 * 86_400) == 2
    operations.resume(place.session, OWNER, operations.ResumeRequest(name="paused"))
    place.happen("run 3")
    place.deliver()
    told, missed = place.deliveries("paused")
    assert told.about == "processing.failed run 3"
    assert missed.state == "failed" and "thrown away before it was told" in missed.error
    with place.database.connection() as connection:
        connection.execute("UPDATE webhook_delivery SET end_time = now() - interval '8 days'")
    place.database.events.forget(7 * 86_400)
    assert place.deliveries("slow") == place.deliveries("paused") == []


def test_whoever_only_reads_does_not_read_the_secrets(database: Database):
    with (
        pytest.raises(Exception, match="permission denied for table webhook_secret"),
        database.reading() as connection,
    ):
        connection.execute("SELECT FROM webhook_secret")
