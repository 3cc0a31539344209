"""Logs: whole lines from many processes, bounded files, ids, and no secret in them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import sys
from collections.abc import Iterator

import pytest

from base.logging import secrets
from base.logging.daemon import start
from base.logging.file import LogFile
from base.logging.form import JsonLines, text_of
from base.logging.ids import about, bind, environment, headers, ids_of_headers
from base.logging.secrets import HIDDEN, hide, without_secrets

PROCESSES = 6
LINES = 400
FILE_SIZE_BYTES = 20_000


@pytest.fixture
def logger(tmp_path: pathlib.Path) -> Iterator[logging.Logger]:
    """A logger that writes to `life.jsonl` of the test's folder."""
    made = logging.Logger("fsd.test")
    handler = LogFile(str(tmp_path / "life.jsonl"), FILE_SIZE_BYTES, 100)
    handler.setFormatter(JsonLines("life"))
    made.addHandler(handler)
    yield made
    handler.close()


def documents(folder: pathlib.Path, name: str = "life.jsonl*") -> list[dict[str, object]]:
    texts = [path.read_text() for path in folder.glob(name)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_processes_that_write_and_rotate_one_file_lose_no_line(
    logger: logging.Logger, tmp_path: pathlib.Path
):
    """As a worker and the horses that it forks do; they rotate some hundred times."""
    logger.info("the parent's descriptor is what they inherit")
    children: list[int] = []
    for number in range(PROCESSES):
        pid = os.fork()
        if not pid:
            with contextlib.suppress(BaseException):
                for line in range(LINES):
                    logger.info("x" * 100, extra=about("line", child=number, line=line))
                os._exit(0)
            os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * PROCESSES
    seen = [(one.get("child"), one.get("line")) for one in documents(tmp_path)]
    wanted = {(number, line) for number in range(PROCESSES) for line in range(LINES)}
    assert len(seen) == len(wanted) + 1 and set(seen) == wanted | {(None, None)}
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    # Who writes while another rotates may put a line each into a file that is moved aside.
    assert len(sizes) > 10 and max(sizes) < FILE_SIZE_BYTES + PROCESSES * 400


def test_a_log_is_bounded_and_keeps_the_newest(tmp_path: pathlib.Path):
    logger = logging.Logger("fsd.test")
    handler = LogFile(str(tmp_path / "log" / "life.jsonl"), 1_000, 2)
    logger.addHandler(handler)
    for number in range(1_000):
        logger.info("%04d %s", number, "x" * 50)
    handler.close()
    names = {"life.jsonl", "life.jsonl.1", "life.jsonl.2"}
    assert set(os.listdir(tmp_path / "log")) == names
    assert sum((tmp_path / "log" / name).stat().st_size for name in names) < 4_000
    text = "".join((tmp_path / "log" / name).read_text() for name in sorted(names, reverse=True))
    assert [line[:4] for line in text.splitlines()][-3:] == ["0997", "0998", "0999"]


def test_a_file_that_was_deleted_or_cannot_be_written_stops_nobody(
    logger: logging.Logger, tmp_path: pathlib.Path
):
    logger.info("one")
    os.unlink(tmp_path / "life.jsonl")
    logger.info("two")
    assert [one["message"] for one in documents(tmp_path)] == ["two"]
    os.unlink(tmp_path / "life.jsonl")
    os.mkdir(tmp_path / "life.jsonl")
    logger.info("three")
    os.rmdir(tmp_path / "life.jsonl")
    logger.info("four")
    assert [one["message"] for one in documents(tmp_path)] == ["four"]


def test_a_record_has_time_level_event_ids_and_exception(
    logger: logging.Logger, tmp_path: pathlib.Path
):
    with bind(run=7, task=9, request_id="abc", trace_id=""):
        try:
            raise ValueError("no\nway")
        except ValueError:
            logger.exception("it failed at %s", "\udcff", extra=about("task.failed", task=10))
    logger.warning("of a library")
    told, plain = documents(tmp_path)
    assert str(told["time"]).endswith("Z") and len(str(told["time"])) == 27
    assert (told["level"], told["event"], told["daemon"]) == ("ERROR", "task.failed", "life")
    assert (told["run"], told["task"], told["request_id"]) == (7, 10, "abc")
    assert told["message"] == "it failed at \udcff" and "trace_id" not in told
    assert "ValueError: no\nway" in str(told["exception"])
    assert (plain["event"], "run" in plain) == ("fsd.test", False)
    line, *trace = text_of(told).splitlines()
    assert line.endswith("Z ERROR it failed at \udcff [run=7 task=10 request_id=abc]")
    assert trace[-2:] == ["ValueError: no", "way"]


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_request_keeps_its_id_and_trace_where_they_are_well_formed():
    known = ids_of_headers("req-1", f"00-{TRACE}-00f067aa0ba902b7-01")
    assert known == {"request_id": "req-1", "trace_id": TRACE}
    with bind(**known, task=3):
        assert headers()["X-Request-Id"] == "req-1"
        assert headers()["traceparent"].split("-")[1] == TRACE
        assert environment()["DRYSTONE_TASK_ID"] == "3"
        assert environment()["TRACEPARENT"].split("-")[1] == TRACE
    assert headers() == environment() == {}


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 65, "a\nb", '"', "é"])
@pytest.mark.parametrize(
    "trace_parent",
    ["", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01", TRACE],
)
def test_a_strange_id_is_replaced(request_id: str, trace_parent: str):
    made = ids_of_headers(request_id, trace_parent)
    assert set(made) == {"request_id"} and len(made["request_id"]) == 32


CANARY = "c4nary-S3cret/+="


@pytest.mark.parametrize(
    "text",
    [
        f"cannot connect to postgresql://ann:{CANARY.replace('/', '')}@db:5432/store",
        f"redis://:{CANARY.replace('/', '')}@localhost:6379/0 does not answer",
        f"host=db user=ann password={CANARY} dbname=store",
        f"host=db password='with a space {CANARY}' dbname=store",
        f"{{'Authorization': 'Bearer {CANARY}'}}",
        f"authorization: Basic {CANARY}",
        f"[(b'authorization', b'Bearer {CANARY}')]",
        f"sent Bearer {CANARY}",
        f"GET /v1/runs?token={CANARY}&x=1",
        f'{{"api_key": "{CANARY}", "x": 1}}',
        f"PGPASSWORD={CANARY} psql",
        f"--redis-password {CANARY}".replace(" ", "="),
        f"set-cookie: {CANARY}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str):
    shown = without_secrets(text)
    assert CANARY not in shown and CANARY.replace("/", "") not in shown and HIDDEN in shown


def test_what_was_shared_by_a_link_is_hidden():
    secret = "Az09_-" * 7 + "x"
    text = f"GET /shared/{secret}/content/{'a' * 64}: 503"
    assert without_secrets(text) == f"GET /shared/{HIDDEN}/content/{'a' * 64}: 503"


@pytest.mark.parametrize(
    "text",
    [
        "run 7 (backup) was asked for",
        "the log http://localhost:8420/runs/7@home is there",
        "secret_file = alert.secret",
        "disk d1 is missing: /mnt/d1 does not answer",
        "the folder /mnt/shared/pictures-of-the-year-2026-with-a-long-name/a is there",
    ],
)
def test_ordinary_words_stay(text: str):
    assert without_secrets(text) == text


def test_a_known_secret_is_hidden_wherever_it_stands(
    logger: logging.Logger, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(secrets, "_known", ())
    hide("hunter2 & co")
    hide("abc")  # Too short: it would hide pieces of words.
    try:
        raise OSError("refused: hunter2 & co")
    except OSError:
        extra = about("x", path="/hunter2%20%26%20co", db_password="short", word="abc")
        logger.exception("no hunter2 & co", extra=extra)
    text = (tmp_path / "life.jsonl").read_text()
    assert "hunter2" not in text and "short" not in text and '"word": "abc"' in text


def test_a_daemon_logs_ours_from_info_on_and_libraries_from_warnings_on(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
):
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 It is the process's own.
            start("life", str(tmp_path / "log"))
            logging.getLogger("fsd.x").info("ours")
            logging.getLogger("fsd.x").debug("too much")
            logging.getLogger("a_library.part").info("theirs")
            logging.getLogger("a_library.part").warning("their warning")
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert [one["message"] for one in documents(tmp_path / "log")] == ["ours", "their warning"]
    # stderr is no file of the store here: somebody reads along.
    shown = capfd.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in shown] == ["INFO ours", "WARNING their warning"]
