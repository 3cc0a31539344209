"""The page of webhooks: its messages are looked at and retried by whose they are, and by admins."""

from __future__ import annotations

from collections.abc import Iterator

import gui_harness
import pytest
from gui_harness import Scene

from sql import NewWebhook, Try


@pytest.fixture
def scene(database_server: str, database_template: str) -> Iterator[Scene]:
    """A store of its own: what happens here is told to nobody else."""
    with gui_harness.scene(database_server, database_template) as made:
        yield made


@pytest.mark.asyncio
async def test_messages_are_seen_and_retried_by_whose_they_are(scene: Scene):
    book = scene.database.webhooks
    made = NewWebhook(
        name="ops", user_id=None, url="https://example.org/<b>hook", types=("processing.failed",),
        selector=None, authentication="none", credential="", authorities="", batch_max=1,
        signing="whsec_c2VjcmV0", after=0,
    )  # fmt: skip
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open("/webhooks")
        await user.should_see("Nobody is told of events over HTTP yet")
    webhook_id = book.add(made)
    scene.database.events.add("processing.failed", "run 7", {})
    events, position = scene.database.events.feed(0, types=["processing.failed"])
    before = book.webhook("ops").position
    assert book.plan(webhook_id, before, [[events[-1].position]], position)
    taken = book.take(webhook_id, 1, 60.0)
    assert taken is not None
    (message,) = taken.messages
    said = Try('{"subject": "run 7"}', 500, "because of <b>", 0.25, "the webhook answered 500")
    book.postpone(taken, [], message, said, lambda _: 3_600.0, 1e9)
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open(f"/webhooks?name=ops&message={message.delivery_id}")
        await user.should_see("https://example.org/<b>hook")
        await user.should_see("processing.failed run 7")
        await user.should_see('{"subject": "run 7"}')
        await user.should_see("because of <b>")
        await user.should_see("0.25 s")
        user.find("Retry").click()
        await user.should_see(f"message {message.delivery_id} is told next", retries=50)
    assert book.ready() == [webhook_id]
    async with gui_harness.simulated(scene, "oto") as (user, _):
        await user.open(f"/webhooks?name=ops&message={message.delivery_id}")
        await user.should_see("Nobody is told of events over HTTP yet")
        await user.should_not_see("example.org")
        await user.should_not_see("because of")
