"""Guests over HTTP: a crawl of everything that can be asked, with canaries in every table."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import itertools
import json
import re
import secrets
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from canaries import CANARY, LEFT_ALONE
from fastapi.routing import APIRoute
from guest_flood import check_flood
from guest_house import House, filled, leaks
from gui_harness import PASSWORD, Answer
from operation_rules import all_operations
from store_checks import until
from websockets.asyncio.client import connect

from base.operations.operation import Caller
from gui.access.needs import needs_of
from gui.access.people import add_user
from gui.door.door import own_app
from gui.door.metrics import RequestCounts
from gui.pages.registry import found_pages
from gui.reading.connections import Connections
from sql import Database, Place
from sql.operations import rights
from sql.operations.rights import MadeLink, NewLink
from sql.rights.grant_book import NewGrant

JSON = "application/json"
SILENCE_S = 3.0
HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g"
WORDS_OF_A_LIST = {"action_event", "api_token_scope", "physical_content"}
"""Tables whose texts can be no canary."""
WITH_TEXT = """
    SELECT DISTINCT table_name FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type = 'text'
"""

REQUESTS: dict[str, dict[str, Any]] = {
    "node.count": {"selector": {"version": 1}},
    "node.show": {},
    "asset.list": {"limit": 500},
    "asset.show": {},
    "collection.list": {},
    "event.list": {},
    "event.follow": {"after": 0, "for_s": 0},
}
"""What a guest asks of each operation that guests may ask; of `node.show` once for each node."""
BY_RIGHT: dict[str, dict[str, Any]] = {
    "grant.add": {"node": "HIDDEN", "group": "people"},
    "grant.link": {"node": "HIDDEN", "until": "2999-01-01T00:00:00Z"},
    "grant.remove": {},
    "grant.list": {"ended": True},
    "grant.explain": {},
}
"""What a guest who has every right, on another node, asks in a browser."""


def test_staff_get_what_the_crawl_asks_for(house: House):
    """So it can fail there as well: what is refused has bytes, and a picture."""
    cookie = house.scene.log_in("ada")
    assert len(house.with_bytes) == 3
    for key in house.with_bytes:
        assert house.scene.ask("GET", f"/content/{key}", Cookie=cookie).status == 200


def refusal(house: House, key: str) -> str:
    """Return what is said of a node, but for what is another for each request."""
    answer = house.api("GET", f"/nodes/{key}")
    assert answer.status == 404, answer.body
    return answer.document["detail"].replace(key, "")


def test_every_table_has_a_canary(house: House):
    """A new one joins by itself, or is named here because no text of it can be one."""
    with house.scene.database.connection() as connection:
        found = {name for (name,) in connection.execute(WITH_TEXT)}
    assert sorted(found - house.planted - LEFT_ALONE) == sorted(WORDS_OF_A_LIST)


def test_staff_read_canaries(house: House):
    """So the crawl can fail."""
    admin = {"Authorization": house.scene.token("ada", "admin"), "Origin": None}
    assert leaks(house.scene.ask("GET", f"/api/v1/nodes/{house.shown}", **admin))
    assert leaks(house.scene.ask("GET", "/api/v1/people", **admin))


@pytest.mark.parametrize("one", all_operations(), ids=lambda one: one.name)
def test_no_operation_tells_a_guest_anything_that_was_not_granted(house: House, one: Any):
    path = filled(one.path, house)
    body = None if one.method in ("GET", "DELETE") else REQUESTS.get(one.name, {})
    if one.method == "GET":
        path += "?" + urlencode(REQUESTS.get(one.name, {}))
    answer = house.api(one.method, path, body)
    assert not leaks(answer), answer.body
    if one.role != "guest":
        assert answer.status in (403, 404, 405), (answer.status, answer.body)
        assert answer.status == 403 or one.is_private
    elif not one.is_private:
        assert one.name in REQUESTS, "say what a guest asks of it"
        assert answer.status in (200, 404), answer.body


@pytest.mark.parametrize(
    "one", [one for one in all_operations() if one.right], ids=lambda one: one.name
)
def test_no_right_on_another_node_is_enough(house: House, one: Any):
    """In a browser, where a guest may ask by a right."""
    assert one.name in BY_RIGHT, "say what a guest asks of it"
    asked = json.loads(json.dumps(BY_RIGHT[one.name]).replace("HIDDEN", house.hidden[0]))
    path, body = filled(one.path, house), asked
    if one.method in ("GET", "DELETE"):
        path, body = f"{path}?{urlencode(asked)}", None
    answer = house.browser(one.method, path, body)
    assert not leaks(answer), answer.body
    # Of a hidden node as of none; what is listed is the guest's own.
    assert answer.status == (200 if one.name == "grant.list" else 404), (answer.status, answer.body)
    nothing = house.browser(
        one.method,
        path.replace(house.hidden[0], "0" * 64),
        body
        and {name: "0" * 64 if value == house.hidden[0] else value for name, value in body.items()},
    )
    same = nothing.body.replace(b"0" * 64, house.hidden[0].encode())
    assert strip(same) == strip(answer.body)


def strip(body: bytes) -> bytes:
    """Return an answer without what is another for each request."""
    return re.sub(rb'"request_id":[^,}]*', b"", body)


def test_a_guest_is_shown_what_was_granted_and_no_other_node(house: House):
    answer = house.api("GET", f"/nodes/{house.shown}")
    assert answer.status == 200, answer.body
    assert answer.document["node"]["key"] == house.shown
    assert not {"root_id", "component_id", "depth"} & {*answer.document["node"]}
    assert answer.document["metadata"] == answer.document["parents"] == []
    assert not leaks(answer)
    refusals = {refusal(house, key) for key in [*house.hidden, "0" * 64]}
    assert len(refusals) == 1, "what is hidden is as if it were not there"
    counted = house.api("POST", "/nodes/count", REQUESTS["node.count"]).document
    assert counted["count"] == 1


@pytest.mark.parametrize("page", found_pages(), ids=lambda page: page.path)
def test_no_page_tells_a_guest_anything(house: House, page: Any):
    answer = house.page(filled(page.path, house))
    assert not leaks(answer), answer.body
    if page.role not in (None, "guest"):
        assert answer.status in (303, 403, 404), answer.status
    for key in house.hidden:
        # The address itself may be said again.
        assert key.encode() not in answer.body or key in filled(page.path, house)


def test_a_guest_explores_what_was_granted(house: House):
    number = house.scene.database.explore.node(house.shown).node["node_id"]
    everything = json.loads(house.page("/explorer/nodes").body)
    assert [one["id"] for one in everything["nodes"]] == [number]
    looked = json.loads(house.page(f"/explorer/look/{number}").body)
    assert looked["content"] == f"/content/{house.shown}"
    words = quote(json.dumps({"version": 1, "where": {"words": "hostile"}}))
    assert json.loads(house.page(f"/explorer/nodes?s={words}").body)["nodes"] == []
    assert house.page(f"/node/{house.shown}").status == 200
    assert house.page("/").headers["location"] == "/explorer"


def test_nothing_is_taken_as_a_film_that_is_none(house: House):
    """To play is to look, for which `view` is enough; any file would be had so without `export`."""
    for extension in ("mp4", "mp3"):
        answer = house.page(f"/labelling/media/{house.shown}.{extension}")
        assert answer.status == 404, answer.body


def test_a_zip_has_what_may_be_exported(house: House):
    database, gil = house.scene.database, house.scene.database.users.user("gil").user_id
    refused = house.page("/explorer/zip")
    assert (refused.status, b"none of these nodes" in refused.body) == (400, True)
    assert house.page("/explorer/list").body.count(b"\n") == 1, "the heading"
    assert not database.seen_by(gil, "export").holds()
    number = database.rights.add(NewGrant("export", "ada", account="gil", node=house.shown))
    database.read_rights()
    try:
        assert house.shown.encode() in house.page("/explorer/list").body
        with zipfile.ZipFile(io.BytesIO(house.page("/explorer/zip").body)) as found:
            (name,) = found.namelist()
            assert hashlib.sha256(found.read(name)).hexdigest() == house.shown
            assert CANARY not in name
    finally:
        database.rights.revoke(number)


async def said_over_websocket(house: House, cookie: str, path: str) -> str:
    """Open a page as a browser does, have something happen, and return what its websocket says
    until it is silent."""
    answer = house.scene.ask("GET", path, Cookie=cookie)
    client = re.search(rb"client_id\W{1,12}([0-9a-f-]{36})", answer.body)
    if answer.status != 200 or client is None:
        return ""
    query = urlencode(
        {"EIO": "4", "transport": "websocket", "client_id": client[1].decode(), "tab_id": uuid4(),
         "document_id": uuid4(), "next_message_id": 0, "implicit_handshake": "true"}
    )  # fmt: skip
    address = house.scene.address.replace("http", "ws") + f"/_nicegui_ws/socket.io/?{query}"
    headers = {"Origin": house.scene.address, "Cookie": cookie}
    said: list[str] = []
    async with connect(address, additional_headers=headers, origin=None, max_size=None) as opened:
        await opened.send("40")
        said += [str(await opened.recv()) for _ in range(2)]
        name = f"{CANARY}{uuid4().hex[:8]}"
        await asyncio.to_thread(house.scene.database.users.add, name, "viewer", HASH)
        await asyncio.to_thread(house.scene.database.events.add, CANARY, CANARY, {})
        with contextlib.suppress(TimeoutError):
            while True:
                said.append(str(await asyncio.wait_for(opened.recv(), SILENCE_S)))
                if said[-1] == "2":  # A ping.
                    await opened.send("3")
    return "".join(said)


def test_no_websocket_tells_a_guest_anything(house: House):
    ada = house.scene.log_in("ada")
    assert CANARY in asyncio.run(said_over_websocket(house, ada, "/users")), "so it can fail"

    async def of_guest() -> dict[str, str]:
        paths = ["/nowhere", *(filled(page.path, house) for page in found_pages())]
        said = [said_over_websocket(house, house.cookie, path) for path in paths]
        return dict(zip(paths, await asyncio.gather(*said), strict=True))

    said = asyncio.run(of_guest())
    assert any(words for words in said.values()), "some pages are for everybody"
    assert [path for path, words in said.items() if CANARY in words] == []


PORT_ROUTES = {
    "nobody": {
        "GET /live", "GET /healthz", "GET /ready", "GET /shared/{secret}",
        "GET /shared/{secret}/thumbnail/{key}", "GET /shared/{secret}/content/{key}",
    },
    "an account": {
        "GET /api/v1/docs", "GET /api/v1/me", "GET /content/{key}", "GET /thumbnail/{key}",
        "GET /labelling/media/{key}.{extension}", "OPTIONS /api/v1/uploads",
        "GET /api/v1/assets/{key}/content", "HEAD /api/v1/assets/{key}/content",
    },
    "viewer": {
        "GET /health", "GET /metrics", "GET /api/v1/health", "GET /api/v1/overview",
        "POST /api/v1/nodes", "POST /api/v1/facets",
    },
    "operator": {
        "POST /api/v1/ingest", "POST /api/v1/uploads",
        "HEAD /api/v1/uploads/{upload_id}", "PATCH /api/v1/uploads/{upload_id}",
        "DELETE /api/v1/uploads/{upload_id}",
    },
    "a token with the scope worker": {
        "POST /api/v1/tasks/{task_id}/claim", "POST /api/v1/tasks/{task_id}/beat",
        "POST /api/v1/tasks/{task_id}/finish", "POST /api/v1/tasks/{task_id}/log",
        "POST /api/v1/worker/lost", "GET /api/v1/worker/place",
    },
}  # fmt: skip
"""Who may ask what of the port, beside the operations and `/api/v1/database`."""


@pytest.fixture(scope="module")
def port_routes(house: House) -> Iterator[dict[str, set[str]]]:
    """The routes that the public port has beside the operations, by what they need."""

    async def nothing() -> None:
        pass

    connections = Connections(house.scene.config)
    app = own_app(connections, RequestCounts(), nothing)
    operations = {one.name for one in all_operations()}
    found: dict[str, set[str]] = {}
    for route in app.routes:
        if isinstance(route, APIRoute) and route.name not in operations | {"nothing"}:
            for method in sorted(route.methods - ({"HEAD"} if "GET" in route.methods else set())):
                needs = str(needs_of(route) or "nobody")
                found.setdefault(needs, set()).add(f"{method} {route.path}")
    yield found
    connections.close()


def test_every_route_of_the_port_says_what_it_needs(port_routes: dict[str, set[str]]):
    of_database = port_routes.pop("a token with the scope database")
    assert all("/api/v1/database/" in one for one in of_database) and len(of_database) > 5
    assert port_routes == PORT_ROUTES, "say here who may ask for it"
    port_routes["a token with the scope database"] = of_database


def test_no_route_of_the_port_tells_a_guest_anything(
    house: House, port_routes: dict[str, set[str]]
):
    """With a token, a session, and without either; with what is there, and hidden, in its path."""
    ways = (
        {"Authorization": house.token, "Origin": None},
        {"Cookie": house.cookie},
        {"Origin": None},
    )
    key = house.with_bytes[0]

    def asked(method: str, path: str, headers: dict[str, Any]) -> Answer | None:
        given = {"Content_Type": JSON, "Tus_Resumable": "1.0.0", **headers}
        answer = house.scene.ask(method, filled(path, house), b"{}", **given)
        return answer if answer.status != 429 else None

    for needs, routes in port_routes.items():
        for route, headers in itertools.product(routes, ways):
            method, path = route.replace("{key}", key).replace("{extension}", "mp4").split(" ")
            answer = until(lambda: asked(method, path, headers), route)  # noqa: B023
            assert not leaks(answer), (route, answer.body)
            if needs not in ("nobody", "an account"):
                assert answer.status in (401, 403), (route, headers, answer.body)
            elif "key" in route and needs != "nobody" and answer.status == 200:
                assert answer.headers["x-drystone-picture"] == "away", route


def test_whoever_becomes_a_guest_is_one_at_the_next_request(house: House):
    """The role is changed by another process, while pages remember the session of a moment ago."""
    add_user(house.scene.database, "vic", "viewer", PASSWORD)
    cookie = house.scene.log_in("vic")

    def shown() -> int:
        return len(
            json.loads(house.scene.ask("GET", "/explorer/nodes", Cookie=cookie).body)["nodes"]
        )

    token = house.scene.token("vic", "viewer")
    until(lambda: house.scene.is_kept(token), "the port has a mark")
    assert shown() > 1
    with Database.open(house.scene.store.config_path) as elsewhere:
        elsewhere.users.set_role("vic", "guest")
    assert shown() == 0


OTHER_ROUTES = (
    "/thumbnail/KEY", "/thumbnail/KEY?size=large", "/content/KEY", "/explorer/nodes",
    "/explorer/list", "/explorer/zip", "/explorer/look/NODE", "/explorer?view=1", "/node/NODE",
    "/labelling/1/tasks", "/labelling/media/KEY.mp4", "/labelling/text/KEY", "/api/v1/overview",
    "/api/v1/health", "/api/v1/backups", "/api/v1/me", "/rq/", "/ready", "/live", "/healthz",
)  # fmt: skip


@pytest.mark.parametrize("route", OTHER_ROUTES)
def test_no_other_route_tells_a_guest_anything(house: House, route: str):
    for key in house.with_bytes:
        number = house.scene.database.explore.node(key).node["node_id"]
        answer = house.page(route.replace("KEY", key).replace("NODE", str(number)))
        assert not leaks(answer), answer.body
        assert key not in str(answer.headers) and key.encode() not in answer.body
        if "/content/" in route:
            assert answer.status == 404, answer.body
        if "/thumbnail/" in route:
            assert answer.headers["x-drystone-picture"] == "away"
    for path, asked in (("/nodes", {"selector": {"version": 1}}), ("/facets", {"selector": {}})):
        assert house.api("POST", path, asked).status == 403


@pytest.fixture
def link(house: House) -> Iterator[MadeLink]:
    """A link to the picture that the guest sees, too."""
    asked = NewLink(node=house.shown, until=datetime.now(UTC) + timedelta(days=1))
    place = Place("", lambda: house.scene.database)
    made = rights.link(place, Caller("ada", "admin"), asked)
    yield made
    for one in house.scene.database.rights.grants():
        if one.is_link:
            house.scene.database.rights.revoke(one.grant_id)


def open_link(house: House, path: str) -> Answer:
    """Ask as somebody without an account."""
    answer = house.scene.ask("GET", path, Origin=None)
    if path.startswith("/shared/"):
        assert answer.headers["cache-control"] == "no-store"
    assert not leaks(answer), answer.body
    return answer


def shared_paths(house: House, link: MadeLink) -> list[str]:
    return [
        link.path,
        f"{link.path}/thumbnail/{house.shown}",
        f"{link.path}/content/{house.shown}",
    ]


def test_whoever_has_a_link_is_shown_what_was_shared_and_nothing_else(house: House, link: MadeLink):
    page, picture, content = (open_link(house, path) for path in shared_paths(house, link))
    assert (page.status, picture.status, content.status) == (200, 200, 200)
    assert picture.headers["content-type"] == "image/webp"
    assert hashlib.sha256(content.body).hexdigest() == house.shown
    assert content.headers["content-disposition"].startswith("attachment")
    text = page.body.decode()
    assert set(re.findall(r"[0-9a-f]{64}", text)) == {house.shown}
    for key in [*house.with_bytes, *house.hidden[-2:], "0" * 64, house.shown.upper(), "%2e%2e"]:
        for kind in ("thumbnail", "content"):
            assert open_link(house, f"{link.path}/{kind}/{key}").status == 404, (kind, key)
    secret = link.path.rpartition("/")[2]
    bearer = {"Authorization": f"Bearer {secret}", "Origin": None}
    assert house.scene.ask("GET", f"/api/v1/nodes/{house.shown}", **bearer).status == 401
    with house.scene.database.connection() as connection:
        kept = connection.execute("SELECT row_to_json(g)::text FROM access_grant AS g").fetchall()
    assert secret not in str(kept), "only its hash is"


@pytest.mark.parametrize("page", found_pages(), ids=lambda page: page.path)
def test_a_link_opens_no_page_of_ours(house: House, link: MadeLink, page: Any):
    for path in (filled(page.path, house), link.path + filled(page.path, house)):
        assert open_link(house, path).status in (303, 404), path


@pytest.mark.parametrize("way", ["revoked", "ended", "guessed", "short"])
def test_a_link_that_holds_no_more_shows_nothing(house: House, link: MadeLink, way: str):
    database, paths = house.scene.database, shared_paths(house, link)
    secret = link.path.rpartition("/")[2]
    if way == "revoked":
        database.rights.revoke(link.grant_id)
    elif way == "ended":
        with database.connection() as connection:
            connection.execute(
                "UPDATE access_grant SET granted_at = now() - interval '2 s', "
                "expires_at = now() - interval '1 s' WHERE grant_id = %s",
                [link.grant_id],
            )
    else:
        other = secrets.token_urlsafe(32) if way == "guessed" else secret[:-1]
        paths = [path.replace(secret, other) for path in paths]
    answers = [open_link(house, path) for path in paths]
    assert {(one.status, one.body) for one in answers} == {
        (404, b"Nothing is shared here, or not any more.\n")
    }


def test_what_was_deleted_is_shared_no_more(house: House, link: MadeLink):
    database = house.scene.database
    with database.connection() as connection:
        flag = (
            "UPDATE physical_content SET is_delete = %s "
            "WHERE node_id = (SELECT node_id FROM node WHERE sha256 = %s)"
        )
        connection.execute(flag, [True, bytes.fromhex(house.shown)])
    try:
        page, picture, content = (open_link(house, path) for path in shared_paths(house, link))
        assert (page.status, picture.status, content.status) == (200, 404, 404)
        assert house.shown not in page.body.decode()
        assert json.loads(house.page("/explorer/nodes").body)["nodes"] == []
        with_hidden = {"version": 1, "include_deleted": True}
        asked = f"/explorer/nodes?s={quote(json.dumps(with_hidden))}"
        assert json.loads(house.page(asked).body)["nodes"] == []
        assert house.page(f"/thumbnail/{house.shown}").headers["x-drystone-picture"] == "away"
        for path in (f"/node/{house.shown}", f"/content/{house.shown}"):
            assert house.page(path).status == 404, "nor to a guest"
    finally:
        with database.connection() as connection:
            connection.execute(flag, [False, bytes.fromhex(house.shown)])


def test_pictures_and_bytes_are_those_of_what_was_granted_until_it_is_taken_back(house: House):
    content, picture = f"/content/{house.shown}", f"/thumbnail/{house.shown}"
    assert house.page(content).status == 403, "it is shown, and may not be taken"
    export = NewGrant("export", "ada", account="gil", node=house.shown)
    house.scene.database.rights.add(export)
    house.scene.database.read_rights()
    assert house.page(content).status == 200
    assert house.page(content).headers["cache-control"] == "no-store"
    shown = house.page(picture)
    assert shown.headers["content-type"] == "image/webp"
    assert shown.headers["cache-control"] == "no-store", "or the browser would show it for a week"
    for grant in house.scene.database.rights.grants(account="gil"):
        house.scene.database.rights.revoke(grant.grant_id)
    assert house.page(content).status == 404
    kept = {"Cookie": house.cookie, "If_None_Match": f'"{house.shown}"'}
    assert house.scene.ask("GET", content, **kept).status == 404, "it is not said to be the same"
    assert house.page(picture).headers["x-drystone-picture"] == "away"
    assert house.api("GET", f"/nodes/{house.shown}").status == 404


def test_a_guest_who_asks_much_keeps_nobody_waiting(house: House):
    check_flood(house)
