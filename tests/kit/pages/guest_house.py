"""A store with a guest, whose tables are full of canaries: it owns their making, no test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import gui_harness
import pytest
from canaries import CANARY, plant
from gui_harness import PASSWORD, Answer, Scene, images

from base.config import find_config
from gui.access.people import add_user, make_token
from sql import load_config
from sql.rights.grant_book import NewGrant

JSON = "application/json"


class House:
    """A served store, a guest, and the one picture that the guest was granted."""

    def __init__(
        self, scene: Scene, planted: set[str], shown: str, hidden: list[str], with_bytes: list[str]
    ) -> None:
        self.scene, self.planted, self.shown, self.hidden = scene, planted, shown, hidden
        self.with_bytes = with_bytes
        self.token = scene.token("gil", "guest")
        self.cookie = scene.log_in("gil")

    def api(self, method: str, path: str, body: Any = None) -> Answer:
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": self.token, "Content_Type": JSON, "Origin": None}
        return self.scene.ask(method, "/api/v1" + path, sent, **headers)

    def page(self, path: str) -> Answer:
        return self.scene.ask("GET", path, Cookie=self.cookie)

    def browser(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask the API as a page in a guest's browser may."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Cookie": self.cookie, "Content_Type": JSON}
        return self.scene.ask(method, "/api/v1" + path, sent, **headers)


@pytest.fixture(scope="module")
def house(database_server: str, database_template: str) -> Iterator[House]:
    with gui_harness.scene(database_server, database_template) as made:
        database = made.database
        add_user(database, "gil", "guest", PASSWORD)
        add_user(database, CANARY + "user", "operator", PASSWORD)
        database.users.save_view(database.users.user("ada").user_id, "explorer", CANARY, CANARY)
        make_token(database, CANARY + "user", "script", ["read"])
        keys = [node.key for node in database.explore.page(images(), limit=100)]
        for level in ("viewer", "api", "analyze", "delete", "share"):
            database.rights.add(NewGrant(level, "ada", account="gil", node=keys[0]))  # pyright: ignore[reportArgumentType]
        database.read_rights()
        with database.connection() as connection:
            # Those with bytes first: only they have contents and pictures to be refused.
            rows = connection.execute(
                "SELECT encode(sha256, 'hex'), is_physical FROM node "
                "ORDER BY is_physical DESC, node_id"
            ).fetchall()
            connection.execute(
                "INSERT INTO quarantine (ingest_batch_id, path, reason) VALUES (1, 'a', 'b')"
            )
            connection.execute(
                "INSERT INTO audit_entry (entry_key, begin_time, name, role, token_name, way, "
                "address, operation, request, request_reference) VALUES "
                "(repeat('c', 32), now(), '', '', '', 'api', '', '', '', '')"
            )
            connection.execute(
                "INSERT INTO received_request (request_id, account, owner, source, accept_time, "
                "keys, about) VALUES (repeat('c', 32), '', '', '', now(), '', '')"
            )
            connection.execute(
                "INSERT INTO webhook (name, url, authorities, authentication, batch_max, position) "
                "VALUES ('a', 'https://a', '', 'none', 1, 0)"
            )
        planted = plant(load_config(find_config(made.store.config_path)).dsn)
        with database.connection() as connection:
            # A planted row says that the first grant reaches the first node.
            connection.execute("DELETE FROM grant_frontier")
        with gui_harness.served(made) as running:
            hidden = [key for key, _ in rows if key != keys[0]]
            with_bytes = [key for key, has_bytes in rows if has_bytes and key != keys[0]]
            yield House(running, planted, keys[0], hidden, with_bytes[:3])


def leaks(answer: Answer) -> bool:
    return CANARY.encode() in answer.body


def filled(path: str, house: House) -> str:
    """Return a path with something in the place of its parameters that is there, and hidden."""
    number = lambda name: "1" if name.endswith("id") else quote(house.hidden[0])  # noqa: E731
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: number(found[1]), path)
