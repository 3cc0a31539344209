"""Traces: a request, the run that it starts and the attempts of its tasks arrive as one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from command import ROOT
from gui_harness import Scene
from store_checks import until
from trace_receiver import Collector, collector

from base.errors import ConfigError
from base.logging import spans
from base.processes import process
from gui.core.server_process import api_process
from jobs import load_jobs_config
from jobs.core.marks import worker_mark
from jobs.scheduler import supervise

TRACE_ID, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def traced(served: Scene) -> Iterator[tuple[Scene, Collector]]:
    """The port and a worker, with a collector."""
    path, api = served.store.config_path, api_process(served.config)
    with open(path, encoding="utf-8") as file:
        before = file.read()
    with collector() as found:
        api.stop()
        jobs = load_jobs_config(path)
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(f'\n[telemetry]\nendpoint = "{found.address}"\n')
            served.address = api_process(served.config).start()[0].address
            wanted = supervise.WantedWorker("traced", ("io", "default"))
            supervise.start_worker(jobs, path, wanted)
            yield served, found
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(before)
            process.kill_session(worker_mark(jobs, "traced"))
            api.stop()
            served.address = api.start()[0].address


def test_a_request_its_run_and_its_attempts_are_one_trace(traced: tuple[Scene, Collector]):
    served, found = traced
    body = {"workflow": "audit", "parameters": {"sample": 3}}
    started = served.ask(
        "POST", "/api/v1/runs", json.dumps(body).encode(), Content_Type="application/json",
        Authorization=served.token("oto", "operator"),
        traceparent=f"00-{TRACE_ID}-{CALLER}-01",
    )  # fmt: skip
    assert started.status == 200
    run_id = started.document["run_id"]
    until(lambda: found.named("run audit"), "the span of the run")
    until(lambda: found.named("POST run.start"), "the span of the request")
    (request,), (run,) = found.named("POST run.start"), found.named("run audit")
    (attempt,) = found.named("audit audit")
    assert {one.trace_id.hex() for one in (request, run, attempt)} == {TRACE_ID}
    assert request.parent_span_id.hex() == CALLER
    assert run.parent_span_id == request.span_id and attempt.parent_span_id == run.span_id
    assert len({one.span_id for one in (request, run, attempt)}) == 3
    assert request.start_time_unix_nano <= run.start_time_unix_nano + 1_000
    assert attempt.start_time_unix_nano <= attempt.end_time_unix_nano
    numbers = {one.key: one.value.int_value for one in attempt.attributes}
    assert numbers["drystone.run"] == run_id
    status = {one.key: one.value.int_value for one in request.attributes}
    assert status["http.response.status_code"] == 200
    assert found.daemons() == {"api", "worker"}


def test_nothing_is_loaded_where_nothing_is_set(served: Scene):
    code = (
        "import sys\nfrom base.logging import spans\nimport gui.door.door, jobs.execute\n"
        f"spans.configure('api', {served.store.config_path!r})\n"
        "assert not spans.is_on()\n"
        "assert not {'opentelemetry.sdk', 'opentelemetry.exporter'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_endpoint_that_is_none_is_refused(tmp_path):
    path = tmp_path / "drystone.toml"
    path.write_text('[telemetry]\nendpoint = "collector:4318"\n')
    with pytest.raises(ConfigError, match=r"telemetry\.endpoint"):
        spans.configure("api", str(path))
