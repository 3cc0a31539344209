"""A store, a database and the served pages for tests: it owns their making, no test."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import urlencode, urlsplit

import database_harness
from PIL import Image
from store_harness import MIB, Store, write_files

from adapters.ingest.ingest import ingest
from adapters.work.batch_work import Signal
from fsd.engine.setup import init_store
from gui.access.passwords import hash_of
from gui.access.people import add_user, make_token
from gui.core.config import GuiConfig, load_gui_config
from gui.core.server_process import api_process, pages_process
from jobs import load_jobs_config
from jobs.queues import redis_server
from sql import CommonMetadata, Database, WriteIntent, scopes_of_role

PASSWORD = "correct horse battery staple"
PICTURES = 9
"""So many JPEGs a scene has: tests count them, so others add none."""
LOOKS_MAX = 600
"""So often a simulated browser looks for something, every 0.1 s; by itself it gives up at 0.3 s."""
PEOPLE = {"ada": "admin", "oto": "operator", "vera": "viewer"}
_EVIL = "window.hacked='yes'"
HOSTILE = f'<img src=x onerror="{_EVIL}"><script>{_EVIL}</script>{{{{7*7}}}}`${{1}}'


def picture(number: int) -> bytes:
    """A small JPEG that no other number has."""
    buffer = BytesIO()
    Image.new("RGB", (120 + number, 90), (number * 20 % 255, 90, 140)).save(buffer, "JPEG")
    return buffer.getvalue()


def scrape() -> dict[str, bytes]:
    """Nine pictures, a broken one and a text, as gallery-dl leaves them."""
    files: dict[str, bytes] = {"broken.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "note.txt": b"hi"}
    for number in range(1, PICTURES + 1):
        files[f"ann/{number}.jpg"] = picture(number)
        files[f"ann/{number}.jpg.json"] = json.dumps(
            {"category": "example", "id": number, "title": f"Picture {number}", "artist": "Ann",
             "num": 1}
        ).encode()  # fmt: skip
    return files


@dataclass
class Answer:
    """What a plain HTTP client got."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def document(self) -> dict:
        return json.loads(self.body)


@dataclass
class Scene:
    """A running store with its database and people; the pages are served by `serve`."""

    store: Store
    database: Database
    address: str = ""

    @property
    def config(self) -> GuiConfig:
        return load_gui_config(self.store.config_path)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        """Send one request; a header that is None is left out, `_` stands for `-`."""
        parts = urlsplit(self.address)
        given = {"Host": parts.netloc, "Origin": self.address}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def log_in(self, name: str, password: str = PASSWORD) -> str:
        """Return the cookie of a new session."""
        body = urlencode({"name": name, "password": password, "next": "/"}).encode()
        answer = self.ask("POST", "/login", body)
        assert answer.status == 303, answer.body
        return answer.headers["set-cookie"].partition(";")[0]

    def is_kept(self, token: str) -> bool:
        """Tell whether the public port has written down that a token counts."""
        book = os.path.join(self.store.config.ssd, "access", "tokens.json")
        if not os.path.exists(book):
            return False
        with open(book, encoding="utf-8") as file:
            return hash_of(token.split()[1]).hex() in file.read()

    def token(self, name: str, role: str) -> str:
        """Return the header of a new token that may what a role may."""
        scopes = scopes_of_role(role)  # pyright: ignore[reportArgumentType]
        made = make_token(self.database, name, f"test-{os.urandom(4).hex()}", scopes)
        return f"Bearer {made.secret}"


@contextlib.contextmanager
def scene(database_server: str, database_template: str) -> Iterator[Scene]:
    """Make a store with a filled database and three people."""
    root = tempfile.mkdtemp(prefix="ds-gui-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        url = stack.enter_context(database_harness.new_database(database_server, database_template))
        paths = [os.path.join(root, f"d{number}") for number in (1, 2, 3)]
        config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=4 * MIB)
        store = Store(root, config, paths)
        with open(store.config_path, "a", encoding="utf-8") as file:
            file.write(
                f'\n[database]\ndsn = {json.dumps(url)}\n\n[gui]\nport = 0\nnames = ["test"]\n'
                "poll_interval_s = 0.2\n"
            )
        stack.callback(store.stop)
        store.start()
        jobs = load_jobs_config(store.config_path)
        stack.callback(redis_server.stop, jobs)
        redis_server.start(jobs)
        database = stack.enter_context(Database.connect(url))
        folder = write_files(os.path.join(config.area_path("3a"), "demo"), scrape())
        signal = Signal(folder, "demo", "gallery-dl", "tester")
        ingest(store.config_path, signal, database=database)
        _make_hostile(database)
        for name, role in PEOPLE.items():
            add_user(database, name, role, PASSWORD)
        yield Scene(store, database)


def _make_hostile(database: Database) -> None:
    """Give a picture a title that is markup; past the adapters, which would take it out."""
    page = database.explore.page(images(), limit=1)
    database.apply_intent(
        WriteIntent(
            version=1,
            intent_id="hostile",
            common_metadata=(
                CommonMetadata(key=page[0].key, source="web", is_raw=True, is_root=True,
                               title=HOSTILE, download_time=datetime(2099, 1, 1, tzinfo=UTC)),
            ),
        )
    )  # fmt: skip


def images():
    from sql import parse_selector

    return parse_selector("{version: 1, where: {extension: jpg}}")


def remove_what_is_left(database: Database) -> list[str]:
    """Remove grants and saved views, which a scene begins without, and return what there was.

    Pictures that came or went are named, too, and stay so.
    """
    left: list[str] = []
    for grant in database.rights.grants():
        database.rights.revoke(grant.grant_id)
        left.append(f"{grant.level} for {grant.whom} on {grant.place}")
    with database.connection() as connection:
        views = connection.execute("DELETE FROM saved_view RETURNING name").fetchall()
    left += [f"the view {name}" for (name,) in views]
    count = database.aggregate(images()).count
    return left + [f"{count} pictures, which were {PICTURES}"] * (count != PICTURES)


@contextlib.contextmanager
def served(made: Scene) -> Iterator[Scene]:
    """Serve the public port of a scene, and its pages, in processes of their own."""
    # NiceGUI behaves otherwise where it believes to be under test.
    known = os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        pages_process(made.config).start()
        running, _ = api_process(made.config).start()
    finally:
        if known is not None:
            os.environ["PYTEST_CURRENT_TEST"] = known
    made.address = running.address
    try:
        yield made
    finally:
        api_process(made.config).stop()
        pages_process(made.config).stop()


@contextlib.asynccontextmanager
async def simulated(made: Scene, name: str) -> AsyncIterator:
    """Yield a simulated browser of somebody who is logged in, and the desk behind the pages."""
    from nicegui import core
    from nicegui.testing.user_simulation import user_simulation

    from gui.access.guard import Guard
    from gui.pages import register_pages
    from gui.reading.desk import Desk

    ours = {key: module for key, module in sys.modules.items() if key.split(".")[0] == "gui"}
    desk = Desk(made.config)
    try:
        async with user_simulation() as user:
            for look in ("should_see", "should_not_see"):
                patient = functools.partial(getattr(user, look), retries=LOOKS_MAX)
                setattr(user, look, patient)
            core.app.add_middleware(Guard, config=desk.config, sessions=desk.sessions)
            register_pages(desk)
            await desk.poller.refresh()
            answer = desk.sessions.log_in(name, PASSWORD, "test", "simulated")
            assert answer.secret is not None, answer.reason
            user.http_client.cookies.set(desk.config.cookie_name, answer.secret)
            yield user, desk
    finally:
        desk.close()
        # The simulation drops the modules of pages; others hold on to the classes in them.
        sys.modules.update(ours)
