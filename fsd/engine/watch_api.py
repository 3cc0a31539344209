"""The control API of watching the disks: it owns the paths of scrub, metrics and alerts."""

from fastapi import FastAPI, Response

from fsd.documents.models import JobStatus
from fsd.documents.watch_models import AlertResult, ScrubStatus
from fsd.engine.engine import Engine


def add_watch(app: FastAPI, engine: Engine) -> None:
    """Add the routes to the application."""

    @app.get("/v1/scrub")
    def scrub_status() -> ScrubStatus:
        return engine.watch.scrubber.status()

    @app.post("/v1/scrub")
    def scrub() -> JobStatus:
        return engine.watch.scrub_now().status()

    @app.get("/v1/metrics")
    def prometheus() -> Response:
        # Here, because most engines are never asked for them.
        from base.metrics import CONTENT_TYPE
        from fsd.watch.metrics import exposition

        return Response(exposition(engine), headers={"Content-Type": CONTENT_TYPE})

    @app.post("/v1/alerts/test")
    def alerts_test() -> list[AlertResult]:
        return engine.watch.alerts.test()
