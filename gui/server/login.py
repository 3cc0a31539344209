"""The login page: it owns the form, the cookie, and where one goes afterwards.

A page of its own without any script, so that the cookie is out of every script's reach. What is
written into it is escaped.
"""

from __future__ import annotations

import asyncio
import html
import os
from string import Template
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from base.errors import DrystoneError
from gui.access.guard import cookie_of
from gui.access.sessions import Sessions
from gui.core.config import GuiConfig

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FORM_SIZE_BYTES_MAX = 20_000
_POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def add_login(app: FastAPI, config: GuiConfig, sessions: Sessions) -> None:
    """Add the routes of logging in and out."""
    with open(os.path.join(HERE, "static", "login.html"), encoding="utf-8") as file:
        template = Template(file.read())

    def page(wanted: str, name: str = "", problem: str = "", status: int = 200) -> Response:
        body = template.substitute(
            next=html.escape(wanted),
            name=html.escape(name[:100]),
            problem=f'<p class="problem" role="alert">{html.escape(problem)}</p>' * bool(problem),
        )
        headers = {"content-security-policy": _POLICY, "cache-control": "no-store"}
        return HTMLResponse(body, status, headers)

    @app.get("/login", include_in_schema=False)
    async def show(next: Annotated[str, Query(max_length=8_000)] = "/") -> Response:
        return page(_inside(next))

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        body = await request.body()
        if len(body) > FORM_SIZE_BYTES_MAX:
            return page("/", problem="That is too long.", status=413)
        form = {
            name: values[-1]
            for name, values in parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).items()
        }
        wanted, name = _inside(form.get("next", "/")), form.get("name", "")
        address = _address(request)
        given = (form.get("password", ""), address, _browser(request))
        try:
            attempt = await asyncio.to_thread(sessions.begin_log_in, name, address)
            # In the loop: who guesses takes no thread from others.
            await asyncio.sleep(attempt.delay_s)
            answer = await asyncio.to_thread(sessions.finish_log_in, attempt, *given)
        except DrystoneError as error:
            return page(wanted, name, f"Nobody can log in now: {error}", 503)
        if answer.secret is None:
            return page(wanted, name, answer.reason, 429 if answer.wait_s else 403)
        response = RedirectResponse(wanted, 303)
        response.set_cookie(
            config.cookie_name,
            answer.secret,
            max_age=round(config.session_hours * 3600),
            httponly=True,
            secure=config.secure_cookie,
            # Lax: a link in a mail finds the person logged in; what changes something is POST,
            # which then comes without the cookie, and is refused by its origin besides.
            samesite="lax",
        )
        return response

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        header = request.headers.get("cookie", "").encode("latin-1")
        secret = cookie_of(header, config.cookie_name)
        try:
            await asyncio.to_thread(sessions.log_out, secret)
        except DrystoneError as error:
            return page("/", problem=f"Not logged out: {error}", status=503)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(config.cookie_name)
        return response


def _inside(wanted: str) -> str:
    """Return a place of ours to go to: never another server, whatever the address says."""
    if not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or not wanted.isprintable():
        return "/"
    return "/" if wanted.startswith("/login") else wanted


def _address(request: Request) -> str:
    return request.client.host[:100] if request.client else "unknown"


def _browser(request: Request) -> str:
    return request.headers.get("user-agent", "")
