"""A store in which everything was done once, and what of it left the building: it owns no test."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from typing import Any

import psycopg
from action_house import MEASURE, ActionYard
from command import run_text
from jobs_harness import until
from psycopg.sql import SQL, Identifier
from store_harness import write_files

from adapters import backup_partner, make_thumbnails
from sql import NewWebhook, make_backup
from sql.copies.report import BackupReport

DEFINITION = """
version: 1
name: drawings
selector: {version: 1, where: {extension: png, ingest_batch: pictures}}
splits:
  fractions: {train: 0.5, test: 0.5}
  missing_class: allow
layout: flat
"""
MUDDLED = (
    MEASURE
    + """
echo "no such input,7" >> "$2/sizes.csv"
"""
)
ODD = {
    "ann/one.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "ann/one.svg.json": json.dumps(
        {"category": "example", "id": 1, "title": "One", "artist": "Ann", "num": 1}
    ).encode(),
    "program.exe": b"MZ",
}
THINGS = b"".join(b'{"id": %d, "colour": "red", "size": %d.5}\n' % (n, n) for n in range(20))
PASSWORD_HASH = "$argon2id$v=19$m=65536,t=3,p=4$Y2FuYXJ5c2FsdA$Q0FOQVJZLXBhc3N3b3JkLWhhc2g"
WEBHOOK_SECRET = "CANARY-webhook-secret-74128"
TYPED_AS_NAME = "canary-typed-as-a-name"
TOKEN_HASH = hashlib.sha256(b"canary token").digest()
SESSION_HASH = hashlib.sha256(b"canary session").digest()
CANARIES = (
    PASSWORD_HASH.encode(),
    PASSWORD_HASH.rpartition("$")[2].encode(),
    WEBHOOK_SECRET.encode(),
    TYPED_AS_NAME.encode(),
    *(form for h in (TOKEN_HASH, SESSION_HASH) for form in (h, h.hex().encode())),
)

NOT_COMPARED = {
    "audit_entry": "written with every command, also by those that compare",
    "audit_outcome": "of such entries",
    "backup_report": "written after the moment that it tells of",
    "outbox_package": "packages that are made later, and their copies: compared by name and sum",
    "outbox_store_batch": "of such packages: compared as well",
    "user_session": "a secret: none comes back",
    "api_token": "a secret: none comes back",
    "api_token_scope": "goes with its token",
    "login_attempt": "may have what was typed: none comes back",
    "request_key": "answers of the last day, for who asked: none comes back",
    "webhook": "its address and what signs for it are secrets: none comes back",
    "webhook_secret": "goes with its webhook",
    "webhook_type": "goes with its webhook",
    "webhook_delivery": "goes with its webhook",
    "webhook_delivery_event": "goes with its webhook",
}
GONE = b"one that was purged"
CHANGED = {
    "app_user": {"password_hash": "a secret"},
    "ingest_batch": {"state": "packed is confirmed", "update_time": "when it was"},
}
"""Columns that are not compared; `thumbnail` lacks the rows of pictures, which are made again."""


Tables = dict[str, list[dict[str, Any]]]


@dataclass
class Life:
    """What was, in words that another store can be compared with."""

    tables: Tables = field(default_factory=dict)
    cold: str = ""
    objects: dict[str, dict[str, str]] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    views: list[tuple[str, str, str]] = field(default_factory=list)
    report: BackupReport | None = None


def live(yard: ActionYard) -> None:
    """Ingest, act, label, declare, build, publish, retire, purge, and let people in."""
    _act(yard)
    _label(yard)
    _ingest(yard, "odd", ODD, "gallery-dl", exit_code=3)
    _ingest(yard, "bad", {"bad.png": b"\x89PNG\r\n\x1a\n bad"})
    _command(yard, "purge", "--batch", "bad", "--yes")
    _ingest(yard, "some", {"kept.txt": b"one that is kept", "gone.txt": GONE})
    path = os.path.join(yard.root, "gone")
    with open(path, "w", encoding="ascii") as file:
        file.write(hashlib.sha256(GONE).hexdigest())
    _command(yard, "purge", "--keys", path, "--yes")
    for name in ("drawings", "given_up"):
        definition = DEFINITION.replace("drawings", name)
        run, _ = yard.control.start("ua_3", {"definition": definition, "mode": "view"})
        yard.wait(run.run_id, "done")
    _command(yard, "dataset", "retire", "given_up")
    ((batch,),) = yard.rows("SELECT min(action_batch_id) FROM action_batch")
    _command(yard, "pipeline", "enrol", "looks", str(batch))
    _let_people_in(yard)
    _share(yard)
    _receive(yard)
    _ingest(yard, "things", {"things.jsonl": THINGS}, "json")
    _command(yard, "schema", "accept", "things")
    _command(yard, "schedule", "add", "nightly", "thumbnails", "--cron", "0 4 * * *")
    _command(yard, "schedule", "fire", "nightly")
    ((run_id,),) = yard.rows("SELECT run_id FROM schedule_firing WHERE cause = 'hand'")
    yard.wait(run_id, "done")
    make_thumbnails(yard.config_path, yard.database, 1, 10_000, name="life")
    yard.stop()


def _act(yard: ActionYard) -> None:
    yard.add_action("measure", number=900)
    yard.wait(yard.act("measure"), "done")
    yard.add_action("muddled", MUDDLED, number=901)
    yard.wait(yard.act("muddled"), "done", "partial")
    yard.wait(yard.act("image_variants", parameters={"sizes": "16x12"}), "done")
    path = os.path.join(yard.root, "looks.yaml")
    with open(path, "w", encoding="ascii") as file:
        file.write(
            "name: looks\nstages: [{action: measure, gate: approval}, {action: image_variants}]\n"
        )
    _command(yard, "pipeline", "declare", path)


def _label(yard: ActionYard) -> None:
    action, answer = yard.add_question(3100)
    run_id = yard.act(action)
    until(lambda: yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")
    keys = [
        key
        for (key,) in yard.rows(
            "SELECT encode(sha256, 'hex') FROM label_task JOIN node USING (node_id) ORDER BY 1"
        )
    ]
    lines = ["key,label,labeller", *(f"{key},{answer},ann" for key in keys)]
    path = os.path.join(yard.root, "labels.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines))
    _command(yard, "label", "import", str(run_id), path)
    yard.wait(run_id, "done")


def _ingest(
    yard: ActionYard,
    batch: str,
    files: dict[str, bytes],
    source: str = "plain-folder",
    *,
    exit_code: int = 0,
) -> None:
    folder = write_files(os.path.join(yard.store.config.area_path("3a"), batch), files)
    words = ("ingest", folder, "--batch", batch, "--source", source)
    _command(yard, *words, exit_code=exit_code)


def _let_people_in(yard: ActionYard) -> None:
    users = yard.database.users
    user = users.add("ann", "labeller", PASSWORD_HASH)
    users.add_token("ann", "nightly", ["label"], TOKEN_HASH)
    users.open_session(
        users.begin_login("ann", "192.0.2.1"),
        SESSION_HASH,
        address="192.0.2.1",
        browser="a browser",
        lifetime_s=3600.0,
        idle_s=3600.0,
    )
    users.begin_login(TYPED_AS_NAME, "192.0.2.1")
    yard.rows_change(
        "INSERT INTO request_key (account, key, operation, request_sha256, holder, answer, "
        f"done_time) VALUES ('ann', 'k', 'x', sha256('x'), 'me', '{TYPED_AS_NAME}', now())"
    )
    users.save_view(user.user_id, "explorer", "mine", "q=1", is_shared=True)
    _tell_programs(yard)
    with open(os.path.join(yard.root, "alert.secret"), "w", encoding="ascii") as file:
        file.write(WEBHOOK_SECRET)


def _tell_programs(yard: ActionYard) -> None:
    webhooks = yard.database.webhooks
    webhooks.add(
        NewWebhook(
            name="ops",
            user_id=None,
            url=f"https://hooks.example/{TYPED_AS_NAME}",
            types=["processing.failed"],
            selector=None,
            authentication="bearer",
            credential=WEBHOOK_SECRET,
            authorities="",
            batch_max=1,
            signing=WEBHOOK_SECRET,
            after=None,
        )
    )
    made = webhooks.webhook("ops")
    assert webhooks.plan(made.webhook_id, made.position, [[made.position]], made.position)


def _share(yard: ActionYard) -> None:
    _command(yard, "group", "create", "friends")
    _command(yard, "group", "add", "friends", "ann")
    _command(yard, "collection", "create", "walls")
    ((node_id,),) = yard.rows("SELECT min(node_id) FROM physical_content")
    _command(yard, "collection", "add", "walls", "--node", str(node_id), "--yes")
    _command(yard, "grant", "add", "--collection", "walls", "--group", "friends")
    _command(yard, "grant", "add", "--batch", "odd", "--account", "ann", "--with-metadata")


def _receive(yard: ActionYard) -> None:
    """What a port told of a request that failed, and of its replay that failed, too."""
    yard.rows_change(
        f"""
        INSERT INTO received_progress (sequence) VALUES (1);
        INSERT INTO received_request
            (request_id, account, owner, source, accept_time, keys, about, batch, outcome)
        VALUES ('{"7" * 32}', 'ann', 'ann', 'phone', now(), sha256('x'), '{{}}', 'again', 'failed');
        INSERT INTO dead_letter (request_id, place, batch, path, reason)
        VALUES ('{"7" * 32}', 0, 'again', 'x.json', 'of a test');
        INSERT INTO replaced_batch (batch, letter_id) SELECT 'first', letter_id FROM dead_letter
        """
    )


def _command(yard: ActionYard, *words: str, exit_code: int = 0) -> None:
    told = run_text(*words, config_path=yard.config_path)
    assert told.returncode == exit_code, told


# ---- What was, and what left ---------------------------------------------------------------------


def back_up(yard: ActionYard) -> BackupReport:
    """Back up as the commands and the workflow do."""
    return make_backup(
        yard.config_path,
        check_sample=backup_partner.sample_check(yard.config_path),
        package=backup_partner.packager(yard.config_path),
    )


def leave(yard: ActionYard, cold: str) -> Life:
    """Remember everything, back up, and copy the outbox away."""
    life = Life(rows_of(yard.dsn), cold)
    client = yard.store.client
    for batch in client.batches():
        life.objects[batch.batch] = {f.path: f.key for f in client.batch_files(batch.batch)}
    life.pins = {pin.name: pin.manifest for pin in client.pins()}
    life.views = [(one.view_id, one.layout_id, one.manifest_key) for one in client.views()]
    life.report = back_up(yard)
    shutil.copytree(yard.store.config.area_path("3b"), cold)
    return life


def rows_of(dsn: str) -> Tables:
    """Return every row of every table, in an order of its own."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        found: Tables = {}
        for (table,) in tables:
            query = SQL("SELECT to_jsonb(t) FROM {} AS t ORDER BY t::text")
            rows = connection.execute(query.format(Identifier(table))).fetchall()
            found[table] = [row for (row,) in rows]
        return found


def differences(
    then: dict[str, list[dict[str, Any]]], now: dict[str, list[dict[str, Any]]]
) -> list[str]:
    """Compare all tables row by row, but for NOT_COMPARED and CHANGED."""
    assert then.keys() == now.keys()
    wrong: list[str] = []
    for table in then.keys() - NOT_COMPARED.keys():
        wanted = _comparable(table, then[table])
        found = _comparable(table, now[table])
        wrong += [f"{table}: lost {row}" for row in sorted(wanted - found)]
        wrong += [f"{table}: new {row}" for row in sorted(found - wanted)]
        if len(wanted) != len(found):
            wrong.append(f"{table}: {len(found)} rows in place of {len(wanted)}")
    return wrong


def _comparable(table: str, rows: list[dict[str, Any]]) -> set[str]:
    if table == "thumbnail":
        rows = [row for row in rows if row["thumbnail_key"] is None]
    left_out = CHANGED.get(table, {})
    kept = [{name: v for name, v in row.items() if name not in left_out} for row in rows]
    made = {json.dumps(row, sort_keys=True) for row in kept}
    assert len(made) == len(rows), table
    return made
