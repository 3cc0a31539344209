"""Fixtures that all tests share: a real store on folders in a temporary place, with its engine."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator

import command
import compiled_share
import database_harness
import long_form
import pytest
import quiet_logs
import run_order
import warm_start
from hypothesis import HealthCheck, settings
from quiet_logs import no_unexpected_warnings
from run_folder import RunFolder, for_stores, on_disk
from store_harness import MIB, Store, write_files

from fsd.engine.setup import init_store
from sql import Database

__all__ = ["no_unexpected_warnings"]

LEFT_OPEN_MAX = 64
"""Descriptors that the tests of one module may leave: fixtures of the session begin in some."""

_run = RunFolder()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", run_order.MARK)
    config.addinivalue_line("markers", quiet_logs.MARK)
    long_form.configure(config)
    # How long something takes on a machine that others use says nothing of it.
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")
    if not config.getoption("--flush-life"):  # It lies in the folder of the run that failed.
        _run.open()
    # Tests start some thousand processes of ours, and each would compile all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # Who is started in the background of a shell never hears of Ctrl-C, nor what tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    warm_start.install()


def pytest_sessionstart(session: pytest.Session) -> None:
    gc.disable()  # Looking for cycles would be a fifth of what collection takes.
    worker, whole = getattr(session.config, "workerinput", None), session.config.rootpath / "tests"
    if worker is not None and [os.path.abspath(one) for one in session.config.args] == [str(whole)]:
        number = int(worker["workerid"].removeprefix("gw"))
        compiled_share.make_share(session.config, whole, number, worker["workercount"])


def pytest_report_header(config: pytest.Config) -> list[str]:
    return long_form.describe(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Let a process go on with its own part of the tests, and take from others when it has none."""
    if config.getoption("dist") != "load":  # Somebody chose another way.
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    long_form.select(config, items)
    worker = getattr(config, "workerinput", {})
    is_long_form = config.getoption("--long")
    run_order.spread(items, worker.get("workercount", 1), is_long_form=is_long_form)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        # What was imported and collected lives as long as the run: nobody looks through it again.
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_sessionfinish(exitstatus: int) -> None:
    _run.has_failed = exitstatus != 0


def pytest_unconfigure() -> None:
    warm_start.warm.close()
    _run.close()


@pytest.fixture(scope="module", autouse=True)
def no_leaked_descriptors() -> Iterator[None]:
    """What a module leaves open grows from module to module, until something else fails by it."""
    before = _descriptors()
    yield
    if len(_descriptors()) > len(before) + LEFT_OPEN_MAX:
        gc.collect()  # Engines that were dropped are of cycles.
        left = sorted(set(_descriptors().items()) - set(before.items()))
        assert len(left) <= LEFT_OPEN_MAX, f"{len(left)} descriptors are left open: {left}"


def _descriptors() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """A function that compares a text with the file of that name in the folder `golden` beside."""

    def compare(name: str, text: str) -> None:
        path = request.path.parent / "golden" / name
        if request.config.getoption("--write-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        assert text == known, f"{path} differs; --write-golden writes it anew, to be looked at"

    return compare


@pytest.fixture
def disk_tmp() -> Iterator[str]:
    """As `short_tmp`, on a disk also where the run works in memory."""
    folder = tempfile.mkdtemp(prefix="ds-", dir=on_disk())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def short_tmp() -> Iterator[str]:
    """A temporary folder with a short path: a unix socket's path has at most 107 bytes."""
    folder = tempfile.mkdtemp(prefix="ds-", dir=for_stores())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def store(short_tmp: str) -> Iterator[Callable[..., Store]]:
    """A function that makes a store with N folder disks and starts its engine.

    All options of `init_store` may be given. `started=False` leaves the engine off.
    """
    made: list[Store] = []

    def make(disks: int = 3, *, started: bool = True, **options: object) -> Store:
        root = os.path.join(short_tmp, f"store{len(made)}")
        paths = [os.path.join(root, f"d{number}") for number in range(1, disks + 1)]
        settings = {"min_free_bytes": MIB, "shard_size_bytes": 4 * MIB, **options}
        config = init_store(root, paths, None, **settings)
        made.append(Store(root, config, paths))
        if started:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def source(tmp_path) -> str:
    """A folder with `command.FILES`, one of which has a hostile name."""
    return write_files(str(tmp_path / "source"), command.FILES)


@pytest.fixture
def filled(store, source) -> Store:
    """A running store whose batch `pets` holds `command.FILES`."""
    made = store()
    made.put(source, "pets")
    return made


@pytest.fixture(scope="session")
def database_server(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[str]:
    """The connection string of a server on which tests may make databases."""
    given = request.config.getoption("--postgres-dsn")
    if given:
        yield given
        return
    folder = tmp_path_factory.getbasetemp()
    # Workers of one run have their folders side by side, in the run's own.
    run_folder = folder.parent if hasattr(request.config, "workerinput") else folder
    with database_harness.shared_server(str(run_folder)) as admin_dsn:
        yield admin_dsn


@pytest.fixture(scope="session")
def database_template(database_server: str) -> Iterator[str]:
    """The name of a migrated database to clone."""
    with database_harness.template(database_server) as name:
        yield name


@pytest.fixture
def database_url(database_server: str, database_template: str) -> Iterator[str]:
    """The connection string of a migrated, empty database of the test's own."""
    with database_harness.new_database(database_server, database_template) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A `Database` on a migrated, empty database of the test's own."""
    with Database.connect(database_url) as opened:
        yield opened


def pytest_addoption(parser: pytest.Parser) -> None:
    long_form.add_options(parser)
    parser.addoption(
        "--flush-life", default="", help="cut this life again, FOLDER or FOLDER:NUMBER"
    )
    parser.addoption("--write-golden", action="store_true", help="write golden texts anew")
    parser.addoption("--adapter-cases", type=int, default=15, help="hostile folders per adapter")
    parser.addoption("--adapter-seed", default="", help="replay an adapter test with this seed")
    parser.addoption("--postgres-dsn", default="", help="test on this server, as a superuser")
