"""The metrics: their format, by a strict parser of our own, and what a running engine exposes."""

from __future__ import annotations

import contextlib
import http.client
import math
import os
import re
import socket

import pytest
from command import drystone, json_lines
from hypothesis import given
from hypothesis import strategies as st
from store_checks import until

from base.config import CONFIG_NAME
from base.errors import ConfigError
from base.metrics import CONTENT_TYPE, counters, gauges, render
from fsd.cli.metrics import DOWN
from fsd.disks.config import Config, load_config
from fsd.store.ssd import ballast
from fsd.watch.metrics_server import REQUESTS_MAX

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
NUMBER = re.compile(r"NaN|[+-]Inf|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
BASE_UNITS = ("_bytes", "_seconds", "_celsius", "_ratio")
BAD_UNITS = ("_ms", "_s", "_mb", "_kb", "_gib", "_percent", "_minutes")


def parse_labels(text: str | None) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while text and position < len(text):
        found = LABEL.match(text, position)
        assert found, f"bad labels: {text}"
        assert found[1] not in labels, f"{found[1]} appears twice"
        labels[found[1]] = re.sub(r'\\[\\"n]', lambda hit: ESCAPES[hit[0]], found[2])
        position = found.end()
        assert found[3] or position == len(text)
    return labels


def parse(text: str) -> dict[str, tuple[str, str, dict[tuple, float]]]:
    """Return {name: (type, help, {labels: value})}; strict, it fails on all that is doubtful."""
    assert text.endswith("\n") or not text
    metrics: dict[str, tuple[str, str, dict[tuple, float]]] = {}
    current = helped = ""
    help_text = ""
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            _, _, helped, help_text = line.split(" ", 3)
            assert helped not in metrics, f"{helped} is not in one piece"
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current == helped, "TYPE follows its HELP"
            assert kind in ("gauge", "counter")
            metrics[current] = (kind, help_text, {})
        else:
            found = SAMPLE.fullmatch(line)
            assert found, f"not a sample: {line!r}"
            assert found[1] == current, f"{found[1]} is outside of its metric"
            assert NUMBER.fullmatch(found[3]), line
            key = tuple(sorted(parse_labels(found[2]).items()))
            assert key not in metrics[current][2], f"{line} appears twice"
            metrics[current][2][key] = float(found[3])
    assert all(samples for _, _, samples in metrics.values())
    return metrics


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.floats(allow_nan=False) | st.integers(-(10**18), 10**18)


@given(texts, texts, numbers)
def test_any_label_and_value_survive(help_text, label, value):
    family = gauges("x_bytes", help_text.replace("\r", ""), "disk")
    family.add_metric([label], value)
    parsed = parse(render([family]).decode())["drystone_x_bytes"]
    assert parsed[0] == "gauge"
    assert parsed[2] == {(("disk", label),): float(value)}


def test_odd_numbers_and_names():
    family = gauges("x", "odd", "n")
    for number, value in enumerate((math.inf, -math.inf, 0.0, 1e300, 0.1)):
        family.add_metric([str(number)], value)
    found = parse(render([family]).decode())["drystone_x"][2]
    assert list(found.values()) == [math.inf, -math.inf, 0.0, 1e300, 0.1]
    family = counters("x_total", "odd")
    family.add_metric([], math.nan)
    assert (
        render([family])
        == b"# HELP drystone_x_total odd\n# TYPE drystone_x_total counter\ndrystone_x_total NaN\n"
    )
    assert render([gauges("x", "without a sample")]) == b""


def value(metrics, name: str, **labels: str) -> float:
    return metrics[f"drystone_{name}"][2][tuple(sorted(labels.items()))]


def test_what_an_engine_exposes(filled):
    client = filled.client
    client.wait(client.verify().job_id)
    metrics = parse(client.metrics())
    health = client.health()
    assert value(metrics, "up") == 1
    assert value(metrics, "objects") == health.objects
    for disk in health.disks:
        assert value(metrics, "disk_size_bytes", disk=disk.name) == disk.size_bytes
        assert value(metrics, "disk_stored_bytes", disk=disk.name) == disk.stored_bytes
        assert value(metrics, "disk_written_bytes_total", disk=disk.name) == disk.written_bytes
        assert value(metrics, "disk_state", disk=disk.name, state="online") == 1
        assert value(metrics, "disk_state", disk=disk.name, state="missing") == 0
        assert value(metrics, "disk_health", disk=disk.name, health="ok") == 1
    assert value(metrics, "jobs", state="done") == 2
    assert value(metrics, "scrub_overdue_bytes") == 0
    assert value(metrics, "scrub_never_replicas") > 0
    assert value(metrics, "replication_lag_bytes") == health.replication_lag_bytes
    assert value(metrics, "usable_bytes") > value(metrics, "usable_after_loss_bytes") > 0
    assert value(metrics, "area_used_bytes", area="3c") >= 0
    assert value(metrics, "memory_anonymous_bytes") > 0
    assert value(metrics, "ssd_ballast_bytes") >= ballast.SIZE_BYTES_MIN


def test_names_are_as_prometheus_wants_them(filled):
    for name, (kind, help_text, _) in parse(filled.client.metrics()).items():
        assert name.startswith("drystone_"), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert not name.removesuffix("_total").endswith(BAD_UNITS), name
        assert help_text.endswith("."), name
        if any(unit.strip("_") in name.split("_") for unit in BASE_UNITS):
            assert name.removesuffix("_total").endswith(BASE_UNITS), "the unit comes last"


def test_the_command_prints_them_for_the_textfile_collector(filled):
    result = drystone("metrics", "--config", filled.config_path)
    assert value(parse(result.stdout.decode()), "up") == 1
    (document,) = json_lines(drystone("metrics", "--json", "--config", filled.config_path))
    assert value(parse(document["metrics"]), "up") == 1
    target = os.path.join(filled.root, "drystone.prom")
    drystone("metrics", "--output", target, "--config", filled.config_path)
    with open(target, encoding="utf-8") as file:
        assert value(parse(file.read()), "up") == 1
    wrong = drystone("metrics", "--output", f"{target}/x", "--config", filled.config_path, expect=2)
    assert b"cannot be written" in wrong.stderr
    filled.stop()
    drystone("metrics", "--output", target, "--config", filled.config_path, expect=1)
    with open(target, encoding="utf-8") as file:
        assert file.read() == DOWN
    result = drystone("metrics", "--config", filled.config_path, expect=1)
    assert result.stdout.decode() == DOWN
    assert parse(DOWN) == {"drystone_up": ("gauge", "Whether the engine answers.", {(): 0.0})}


def serve_at(root: str, listen: str) -> Config:
    """Let the engine serve the metrics, from its next start on; returns the new configuration."""
    path = os.path.join(root, CONFIG_NAME)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f'\n[metrics]\nlisten = "{listen}"\n')
    return load_config(path)


def ask(port: int, path: str = "/metrics", method: str = "GET") -> tuple[int, str | None, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()


def test_prometheus_scrapes_them_over_http(store):
    """Nothing but the metrics is there, who never asks is in nobody's way, a taken port is told."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one = store(2, started=False)
        one.config = serve_at(one.root, f"127.0.0.1:{port}")
        one.start()
        (notice,) = [n for n in one.client.health().warnings if "metrics" in n.message]
        assert f"127.0.0.1:{port} cannot be listened on (Address already in use)" in notice.message
    one.stop()
    one.start()
    assert not [n for n in one.client.health().warnings if "metrics" in n.message]
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(REQUESTS_MAX)]
    until(lambda: ask(port)[0] == 200, "those who never ask to be sent away")
    with socket.create_connection(("127.0.0.1", port), 30) as one_who_stays:
        one_who_stays.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n.")
        with one_who_stays.makefile("rb") as answer:
            told = answer.read()  # To its end.
            assert (
                told.startswith(b"HTTP/1.1 200 OK") and b"\r\nconnection: close\r\n" in told.lower()
            )
    status, content_type, text = ask(port)
    assert (status, content_type) == (200, CONTENT_TYPE)
    assert value(parse(text), "up") == 1
    assert parse(text).keys() == parse(one.client.metrics()).keys()
    for path in (
        "/",
        "/metrics/",
        "/v1/storage/health",
        "/v1/storage/metrics",
        "/docs",
        "/openapi.json",
    ):
        assert ask(port, path)[0] == 404, path
    assert ask(port, method="POST")[0] == 405
    assert ask(port, "/v1/shutdown", "POST")[0] == 404
    assert one.client.health().state == "ok"
    for connection in silent:
        connection.close()


@pytest.mark.parametrize(
    "listen", ["9633", ":9633", "localhost:9633", "127.0.0.1:0", "127.0.0.1:65536", "::1:9633"]
)
def test_an_address_that_cannot_be_meant_is_refused(store, listen):
    root = store(2, started=False).root
    with pytest.raises(ConfigError, match=r'metrics\.listen.*"127\.0\.0\.1:9633"'):
        serve_at(root, listen)
