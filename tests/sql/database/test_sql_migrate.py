"""Migrations: old databases end like new ones, crashes leave nothing, mismatches are refused."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import threading

import database_harness
import psycopg
import pytest
from psycopg import conninfo

from sql import Database
from sql.core import lock_waits, migrate, programs
from sql.core.errors import BusyError, MigrationError
from sql.core.migrate import Migration, known_migrations
from sql.people.scopes import ROLES, scopes_of_role

# Later migrations, made up: they alter what is there, so that their order matters.
MORE = (
    "CREATE TABLE extra (id integer PRIMARY KEY, note text)",
    "ALTER TABLE extra ADD COLUMN size_bytes bigint; INSERT INTO extra VALUES (1, '100%s', 5)",
    "ALTER TABLE node ADD COLUMN colour text; CREATE INDEX node_colour ON node (colour)",
)


@pytest.fixture
def make_database(database_server):
    """A function that makes an empty database and returns its connection string."""
    opened = []

    def make() -> str:
        manager = database_harness.new_database(database_server)
        opened.append(manager)
        return manager.__enter__()

    yield make
    for manager in opened:
        manager.__exit__(None, None, None)


@pytest.fixture
def longer(tmp_path) -> list[Migration]:
    """Our migrations and some more, from a folder."""
    known = known_migrations()
    for migration in known:
        path = tmp_path / f"{migration.number:04}_{migration.name}.sql"
        path.write_text(migration.text, encoding="utf-8")
    for number, text in enumerate(MORE, len(known) + 1):
        (tmp_path / f"{number:04}_more.sql").write_text(text, encoding="utf-8")
    (tmp_path / "README").write_text("no migration", encoding="utf-8")
    return known_migrations(str(tmp_path))


def run(url: str, migrations: list[Migration]) -> list[Migration]:
    with psycopg.connect(url) as connection:
        return migrate.migrate(connection, migrations)


def schema(url: str) -> str:
    """Return what pg_dump says of the schema."""
    with psycopg.connect(url) as connection:
        version = connection.info.server_version // 10000
    program = programs.program("pg_dump")
    debian = f"/usr/lib/postgresql/{version}/bin/pg_dump"
    if version != programs.MAJOR_VERSION and os.path.exists(debian):
        program = debian
    done = subprocess.run(
        [program, "--schema-only", "--no-owner", url], capture_output=True, text=True, check=True
    )
    # A random word that keeps psql from obeying the dump's content, new in each dump.
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def test_every_prefix_migrated_on_is_like_new(make_database, longer):
    """Every state that a database can be in, through real and made-up migrations alike."""
    new = make_database()
    assert run(new, longer) == longer
    wanted = schema(new)
    assert "size_bytes bigint" in wanted and "node_colour" in wanted
    for count in range(len(longer)):
        old = make_database()
        assert run(old, longer[:count]) == longer[:count]
        assert run(old, longer) == longer[count:]
        assert schema(old) == wanted


def test_the_real_ones_one_by_one_are_like_new(make_database, database_url):
    """As they come to a store that is updated version by version, opened each time."""
    old = make_database()
    known = known_migrations()
    for count in range(1, len(known) + 1):
        assert run(old, known[:count]) == known[count - 1 : count]
    with Database.connect(old) as database:
        assert database.health().schema_version == len(known)
    with Database.connect(database_url):
        pass  # Which lets guests in, as it did there.
    assert schema(old) == schema(database_url)


def test_the_schemas_are_compared_at_all(make_database, longer):
    first, second = make_database(), make_database()
    run(first, longer)
    run(second, longer)
    with psycopg.connect(second) as connection:
        connection.execute("DROP INDEX node_colour")
    assert schema(first) != schema(second)


def test_again_does_nothing(make_database, longer):
    url = make_database()
    run(url, longer)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM extra").fetchone() == (1,)
        assert migrate.migrate(connection, longer) == []


@pytest.mark.parametrize("broken", ["SELECT 1/0", "CREATE TABLE node ()", "nonsense"])
def test_a_failure_in_the_middle_leaves_nothing(make_database, longer, broken):
    url = make_database()
    known = longer[:-1]
    run(url, known)
    before = schema(url)
    bad = Migration(len(longer), "bad", f"CREATE TABLE half (); {broken}; CREATE TABLE rest ()")
    with pytest.raises(MigrationError, match=f"{len(longer):04}_bad failed and changed nothing"):
        run(url, [*known, bad])
    assert schema(url) == before
    with psycopg.connect(url) as connection:
        assert migrate.schema_version(connection, longer) == len(known)
    assert run(url, longer) == longer[-1:]


def test_a_failure_in_the_first_leaves_an_empty_database(make_database):
    url = make_database()
    empty = schema(url)
    with pytest.raises(MigrationError):
        run(url, [Migration(1, "first", known_migrations()[0].text + "; SELECT 1/0")])
    assert schema(url) == empty


def test_a_kill_in_the_middle_leaves_nothing(make_database, longer, database_server):
    url = make_database()
    run(url, longer[:-1])
    before = schema(url)
    slow = Migration(len(longer), "slow", "CREATE TABLE half (); SELECT pg_sleep(300)")
    caught: list[BaseException] = []

    def work() -> None:
        try:
            run(url, [*longer[:-1], slow])
        except psycopg.OperationalError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    name = conninfo.conninfo_to_dict(url)["dbname"]
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = %s AND wait_event = 'PgSleep'"
    )
    with psycopg.connect(database_server, autocommit=True) as admin:
        while not admin.execute(kill, [name]).fetchall():
            assert thread.is_alive()
    thread.join(60)
    assert len(caught) == 1
    assert schema(url) == before
    assert run(url, longer) == longer[-1:]


def test_several_at_once(make_database, longer):
    url = make_database()
    applied: list[Migration] = []
    threads = [threading.Thread(target=lambda: applied.extend(run(url, longer))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(migration.number for migration in applied) == list(range(1, len(longer) + 1))


def test_a_changed_file_is_refused(make_database, longer):
    url = make_database()
    run(url, longer)
    changed = [Migration(1, longer[0].name, longer[0].text + "\n-- better"), *longer[1:]]
    with pytest.raises(MigrationError, match="0001_schema was changed"):
        run(url, changed)
    renamed = [Migration(1, "other", longer[0].text), *longer[1:]]
    with pytest.raises(MigrationError, match="0001_schema was changed"):
        run(url, renamed)


def test_a_newer_database_is_refused(make_database, longer):
    url = make_database()
    run(url, longer)
    with pytest.raises(MigrationError, match="update Drystone"):
        Database.connect(url)


def test_somebody_elses_tables_are_refused(make_database):
    url = make_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE node (mine text)")
    with pytest.raises(MigrationError, match='relation "node" already exists'):
        Database.connect(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('schema_migration')").fetchone() == (None,)


def test_a_gap_between_files_is_refused(tmp_path):
    (tmp_path / "0001_one.sql").write_text("SELECT 1", encoding="utf-8")
    (tmp_path / "0003_three.sql").write_text("SELECT 1", encoding="utf-8")
    with pytest.raises(MigrationError, match="migration 0002 is missing"):
        known_migrations(str(tmp_path))


def test_a_user_who_may_not_make_roles(make_database, database_server):
    """Selectors then run as the user itself, and still can write nothing."""
    url = make_database()
    with psycopg.connect(database_server, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain")
        admin.execute("CREATE ROLE plain LOGIN PASSWORD 'plain' NOCREATEROLE")
        name = conninfo.conninfo_to_dict(url)["dbname"]
        admin.execute(f'ALTER DATABASE "{name}" OWNER TO plain')
    try:
        own = conninfo.make_conninfo(url, user="plain", password="plain")
        with Database.connect(own) as database, database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM action").fetchone() == (1,)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("DELETE FROM action")
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("REASSIGN OWNED BY plain TO CURRENT_USER; DROP OWNED BY plain")
            connection.execute("DROP ROLE plain")


# ---- The reading role ------------------------------------------------------------------------


def test_a_kill_after_the_last_migration_leaves_readable_tables(make_database, longer, monkeypatch):
    """Rights come with each migration, not after all of them."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    url = make_database()
    real = migrate._apply_next
    for number in range(1, len(longer) + 1):
        with psycopg.connect(url) as connection:
            monkeypatch.setattr(migrate, "_apply_next", real)
            assert migrate._apply_next(connection, longer) == longer[number - 1]
            monkeypatch.setattr(migrate, "_apply_next", killed)
            with pytest.raises(KeyboardInterrupt):
                migrate.migrate(connection, longer)
        with psycopg.connect(url) as connection:
            assert migrate._reader_is_ready(connection)
            connection.execute("SET LOCAL ROLE drystone_reader")
            assert connection.execute("SELECT count(*) FROM node").fetchone() == (0,)


@pytest.mark.parametrize(
    "damage",
    [
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM drystone_reader",
        "REVOKE ALL ON edge FROM drystone_reader",
        "REVOKE ALL ON SCHEMA public FROM drystone_reader, PUBLIC",
    ],
)
def test_lost_rights_are_given_again(database_url, damage):
    with psycopg.connect(database_url) as connection:
        connection.execute(damage)
    with Database.connect(database_url) as database, database.reading() as connection:
        assert database.reader_role
        assert connection.execute("SELECT current_user").fetchone() == ("drystone_reader",)
        assert connection.execute("SELECT count(*) FROM edge").fetchone() == (0,)


def test_somebody_elses_table_beside_ours_is_no_obstacle(make_database, database_server):
    url = make_database()
    name = conninfo.conninfo_to_dict(url)["dbname"]
    role = f"owner_of_{name}"
    with psycopg.connect(database_server, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN CREATEROLE")
        admin.execute(f'ALTER DATABASE "{name}" OWNER TO {role}')
    try:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE theirs (secret text)")
            connection.execute(f"GRANT drystone_reader TO {role}")
        with Database.connect(conninfo.make_conninfo(url, user=role)) as database:
            assert database.reader_role
            assert database.ingests.batches() == []
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_a_migration_that_must_wait_lets_others_pass(make_database, longer, monkeypatch):
    """Behind a reader of the table it gives up, and those that were done before stay."""
    url = make_database()
    run(url, longer[:-1])
    monkeypatch.setattr(lock_waits, "TABLE_LOCK_ATTEMPTS", 2)
    monkeypatch.setattr(lock_waits, "PAUSE_S", 0.01)
    with psycopg.connect(url) as reader:
        reader.execute("SELECT FROM node")
        with pytest.raises(BusyError, match="cannot be migrated: somebody"):
            run(url, longer)
    assert run(url, longer) == longer[-1:]


def test_tokens_of_before_keep_what_they_may(make_database):
    url, known = make_database(), known_migrations()
    added = next(one.number for one in known if one.name == "token_scopes")
    run(url, known[: added - 1])
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO app_user (name, role, password_hash) "
            "VALUES ('ann', 'admin', '$argon2id$x')"
        )
        for role in ROLES[1:]:
            connection.execute(
                "INSERT INTO api_token (user_id, name, role, token_hash) "
                "VALUES (1, %(role)s::text, %(role)s::text, sha256(%(role)s::text::bytea))",
                {"role": role},
            )
        connection.execute(
            "INSERT INTO request_key (account, key, operation, request_sha256, holder) "
            "VALUES ('ann', 'k', 'x', sha256('x'), 'h'), ('root', 'k', 'x', sha256('x'), 'h')"
        )
    with Database.connect(url) as database:
        kept = {token.name: tuple(token.scopes) for token in database.users.tokens()}
        assert kept == {role: scopes_of_role(role) for role in ROLES[1:]}, "there were no guests"
        for role in ROLES[1:]:
            owner = database.users.token_owner(hashlib.sha256(role.encode()).digest())
            assert owner is not None and owner.role == role
        with database.connection() as connection:
            keys = connection.execute("SELECT account FROM request_key ORDER BY 1").fetchall()
        assert keys == [("1",), ("root",)]
