"""pgBackRest with a PostgreSQL 15 of the system, where both are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

import pytest
from backup_fixture import BackupStore, rows_of
from psycopg import conninfo

from sql import Database
from sql.backup.restore_database import restore_to_database
from sql.core import programs

PROGRAMS = "/usr/lib/postgresql/15/bin"
missing = [
    name
    for name in (os.path.join(PROGRAMS, "postgres"), "pgbackrest")
    if shutil.which(name) is None
]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")

CONFIG = """
[global]
repo1-path={root}/repo
log-path={root}/log
lock-path={root}/lock
spool-path={root}/spool
start-fast=y
[main]
pg1-path={root}/pg/data
pg1-socket-path={root}/socket
pg1-port=5439
pg1-user=postgres
"""


class Service:
    """A PostgreSQL 15 that a system would run, archiving its log to pgBackRest."""

    def __init__(self) -> None:
        # Not below pytest's folder, which is closed to the server's user.
        self.root = tempfile.mkdtemp(prefix="ds-service-")
        self.account = programs.server_account()
        for name in ("", "repo", "log", "lock", "spool", "socket", "pg"):
            folder = os.path.join(self.root, name)
            os.makedirs(folder, exist_ok=True)
            os.chown(folder, self.account.uid, self.account.gid)
        self.data = os.path.join(self.root, "pg", "data")
        self.config = os.path.join(self.root, "pgbackrest.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(root=self.root))
        os.chmod(self.config, 0o644)

    @property
    def dsn(self) -> str:
        folder = os.path.join(self.root, "socket")
        return conninfo.make_conninfo(
            "", host=folder, port=5439, user="postgres", dbname="postgres"
        )

    def start(self) -> None:
        self.run(
            f"{PROGRAMS}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8"
        )
        archive = f"pgbackrest --config={self.config} --stanza=main archive-push %p"
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write("listen_addresses = ''\nport = 5439\narchive_mode = on\nfsync = off\n")
            file.write(f"unix_socket_directories = '{self.root}/socket'\n")
            file.write(f"archive_command = '{archive}'\n")
        log = os.path.join(self.root, "log", "server")
        self.run(f"{PROGRAMS}/pg_ctl", "-D", self.data, "-l", log, "-w", "start")
        self.run("pgbackrest", f"--config={self.config}", "--stanza=main", "stanza-create")

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            arguments,
            cwd=self.root,
            capture_output=True,
            text=True,
            env=programs.ENVIRONMENT,
            **programs.identity(self.account),
        )
        assert done.returncode == 0, (arguments, done)
        return done.stdout

    def stop(self) -> None:
        if os.path.exists(os.path.join(self.data, "postmaster.pid")):
            self.run(f"{PROGRAMS}/pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.root)


@pytest.fixture
def service():
    made = Service()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def store(short_tmp):
    made = BackupStore(os.path.join(short_tmp, "store"))
    yield made
    made.end()


def configure(store: BackupStore, service: Service, stanza: str) -> None:
    store.copies_go_to(
        *store.folders,
        more=f'dsn = "{service.dsn}"\npgbackrest_stanza = "{stanza}"\n'
        f'pgbackrest_config = "{service.config}"\nbackups_full_every = 2',
    )


@pytest.mark.seconds(20)
def test_a_system_service(store, service):
    configure(store, service, "main")
    store.fill()
    before = rows_of(service.dsn)
    reports = [store.back_up() for _ in range(3)]
    assert [report.problems for report in reports] == [()] * 3
    assert [(report.kind, report.state) for report in reports] == [("pgbackrest", "ok")] * 3
    assert reports[0].check.restored == ("pgBackRest", "logical export")
    assert reports[0].check.constraints > 20
    # Full, incremental, and full again: pgBackRest says so in its labels.
    labels = [report.facts.pgbackrest_label for report in reports]
    assert [label[-1] for label in labels] == ["F", "I", "F"], labels
    # Nothing of the checks is left beside the data.
    assert os.listdir(os.path.dirname(service.data)) == ["data"]
    # The export goes back into a server of that version.
    target = conninfo.make_conninfo(service.dsn, dbname="restored")
    restore_to_database(store.config_path, reports[0].name, target)
    assert rows_of(target) == before
    with Database.connect(target) as database:
        assert database.health().schema_current


def test_a_stanza_that_does_not_exist(store, service):
    configure(store, service, "other")
    report = store.back_up()
    assert report.state == "failed"
    assert "pgbackrest" in report.problems[0] and "other" in report.problems[0]
