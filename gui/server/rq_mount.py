"""rq-dashboard behind our login: it owns the mounting, and that only operators get through.

The dashboard changes things by GET (requeue), which the guard's check of origins does not see: such
a request must come from a page of ours, or be typed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gui.access.guard import VISITOR_KEY

if TYPE_CHECKING:
    from gui.access.roles import Visitor

PATH = "/rq"
_FROM_HERE = (b"", b"same-origin", b"none")


def redis_url_of(config_path: str) -> str:
    """Return where RQ's Redis is, as its client takes it. Raises JobsError."""
    from jobs import load_jobs_config

    config = load_jobs_config(config_path)
    return f"unix://{config.socket_path}" if config.embedded else config.redis_url


def mount_rq_dashboard(app: FastAPI, redis_url: str) -> None:
    """Mount the dashboard at PATH; nothing is asked of Redis yet."""
    import rq_dashboard
    from a2wsgi import WSGIMiddleware
    from flask import Flask
    from rq_dashboard.app import JSONSerializer
    from rq_dashboard.web import config, setup_rq_connection

    # Never pickle: what lies in Redis must not be able to run anything here.
    config.serializer = JSONSerializer  # pyright: ignore[reportAttributeAccessIssue]

    inner: Any = Flask("drystone_rq", static_url_path="/rqd_static")
    inner.config["RQ_DASHBOARD_REDIS_URL"] = redis_url
    setup_rq_connection(inner)
    inner.register_blueprint(rq_dashboard.blueprint)
    app.mount(PATH, _OperatorsOnly(cast(ASGIApp, WSGIMiddleware(inner, workers=4))))


class _OperatorsOnly:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor: Visitor | None = scope.get(VISITOR_KEY)
        site = dict(scope["headers"]).get(b"sec-fetch-site", b"")
        refused: Response | None = None
        if visitor is None or not visitor.may("operator"):
            refused = JSONResponse({"error": "this needs the role operator"}, 403)
        elif site not in _FROM_HERE:
            refused = JSONResponse({"error": "open this from a page of Drystone"}, 403)
        await (refused or self._app)(scope, receive, send)
