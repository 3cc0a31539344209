"""The live catalogue is what the design says, and the rules that the schema itself keeps."""

from __future__ import annotations

import hashlib

import psycopg
import pytest

# Section 3 of the design: tables and columns at least.
DESIGN = {
    "node": "node_id sha256 is_virtual is_physical root_id component_id depth",
    "physical_content": "record_id node_id file_size_bytes create_time in_black_list is_delete "
    "file_extension_id",
    "archive_location": "record_id filepath",
    "file_type": "file_extension_id file_extension type",
    "source": "source_id description meta_table_name",
    "virtual_asset": "record_id description node_id",
    "common_metadata": "metadata_id node_id source_id is_raw is_root title view update_time "
    "download_time author_description user raw_metadata",
    "relationship": "relationship_id description action_id",
    "edge": "edge_id parent_node_id child_node_id relationship_id",
    "action": "action_id name type",
    "action_batch": "action_batch_id create_date seal_date",
    "action_batch_node": "id action_batch_id node_id created_date",
    "action_event": "id action_id action_batch_id start_time end_time status",
    "pipeline": "id name",
    "pipeline_stage": "pipeline_id stage_id action_id",
    "pipeline_batch": "action_batch_id pipeline_id current_stage",
}

# Every index, with what it is for where it is no key. Another one has to be justified here.
INDEXES = {
    "action_batch_node_action_batch_id_node_id_key": "a node is in a batch once",
    "action_batch_node_node_id": "has a node been through an action",
    "action_batch_node_pkey": "",
    "action_batch_pkey": "",
    "action_contract_pkey": "",
    "action_event_batch": "has an action been done for a batch",
    "action_event_detail_pkey": "",
    "action_event_detail_run_reference_key": "a run that is begun again finds its event",
    "action_event_done": "all batches for which an action is done",
    "action_event_pkey": "",
    "action_name_key": "names are unique",
    "action_node_done": "which nodes of a batch are done",
    "action_node_pkey": "",
    "action_pkey": "",
    "action_quarantine_action_event_id_part_path_record_number_key": "the same bad output is listed once",
    "action_quarantine_pkey": "",
    "api_token_pkey": "",
    "api_token_token_hash_key": "every request of a script asks for it",
    "api_token_user_id_name_key": "a person tells tokens apart by name",
    "app_user_name_key": "names are unique",
    "app_user_pkey": "",
    "archive_location_pkey": "",
    "backup_report_pkey": "",
    "common_metadata_node_id_observation_hash_key": "observations are kept once",
    "common_metadata_pkey": "",
    "common_metadata_source_time": "selectors by source and time",
    "dataset_export_pkey": "",
    "dataset_export_version": "the exports of a version",
    "dataset_member_node_id": "the datasets that a node is in",
    "dataset_member_pkey": "",
    "dataset_name_key": "names are unique",
    "dataset_pkey": "",
    "dataset_version_dataset_id_version_key": "versions are counted by dataset",
    "dataset_version_manifest_key_dataset_id_key": "the same content is the same version",
    "dataset_version_pkey": "",
    "declared_table_pkey": "",
    "delivery_event_id_channel_key": "an event goes to a channel once",
    "delivery_pkey": "",
    "delivery_waiting": "what is due",
    "edge_child_node_id": "the parents of a child",
    "edge_parent_node_id_child_node_id_relationship_id_key": "an edge is there once; children",
    "edge_pkey": "",
    "event_not_planned": "events whose deliveries are not planned",
    "event_once_key_key": "the same trouble is told once",
    "event_pkey": "",
    "file_type_file_extension_key": "extension to type",
    "file_type_pkey": "",
    "gpu_gate_pkey": "",
    "ingest_batch_name_key": "batches are named",
    "ingest_batch_node_node_id": "the batches that brought a node",
    "ingest_batch_node_pkey": "",
    "ingest_batch_pkey": "",
    "label_answer_label_task_id_import_key_key": "the same file is imported once",
    "label_answer_newest": "what each labeller says now",
    "label_answer_pkey": "",
    "label_answer_undoes_key": "an answer is taken back once",
    "label_task_action_event_id_node_id_key": "a node is asked about once in a run",
    "label_task_node_id": "the tasks of a node",
    "label_task_pkey": "",
    "login_attempt_address": "failures of an address",
    "login_attempt_name": "failures of a name",
    "login_attempt_pkey": "",
    "login_attempt_time": "old attempts are removed by time",
    "node_component_id": "members of a component: splits, merging",
    "node_pkey": "",
    "node_root_id": "everything of a tree",
    "node_sha256_key": "the identity of a node",
    "outbox_package_pkey": "",
    "outbox_package_waiting": "packages without a confirmed copy, oldest first",
    "physical_content_file_extension_id": "selectors by extension and media type",
    "physical_content_hidden": "the few deleted and black-listed ones",
    "physical_content_node_id_key": "a node has one content",
    "physical_content_pkey": "",
    "pipeline_document_pkey": "",
    "pipeline_name_key": "names are unique",
    "pipeline_pkey": "",
    "pipeline_stage_pipeline_id_action_id_key": "an action is one stage of a pipeline",
    "pipeline_stage_pkey": "",
    "quarantine_ingest_batch_id_path_record_number_key": "the same bad row is listed once",
    "quarantine_pkey": "",
    "queue_state_pkey": "",
    "relationship_action_id_description_key": "a word means one thing to an action",
    "relationship_pkey": "",
    "run_active_key": "the same request is the same run",
    "run_attempt_pkey": "",
    "run_key_done": "was this done before",
    "run_not_ended": "dashboards list what has not ended or went wrong",
    "run_pkey": "",
    "run_task_delivered": "what Redis should have",
    "run_task_gpu": "what is behind the GPU gate",
    "run_task_open": "is anything of a run open",
    "run_task_pkey": "",
    "run_task_queued": "what is delivered next",
    "run_task_run_id_step_part_key": "a step is done once per part",
    "run_task_running": "limits of queues, silent workers",
    "run_task_waiting": "opening gates, looking for space",
    "run_workflow": "lists of one workflow",
    "saved_view_pkey": "",
    "saved_view_user_id_page_name_key": "the views of a person on a page",
    "schedule_due": "what is due, asked every second",
    "schedule_firing_pkey": "a time fires once",
    "schedule_firing_run_id": "is a run of this schedule going on; removing a run",
    "schedule_name_key": "names are unique",
    "schedule_pkey": "",
    "schema_migration_pkey": "",
    "source_description_key": "names are unique",
    "source_meta_table_name_key": "a table belongs to one source",
    "source_pkey": "",
    "superseded_result_node_id": "what was said of a node before",
    "superseded_result_pkey": "",
    "thumbnail_pkey": "",
    "user_session_pkey": "",
    "user_session_user_id": "ending all sessions of a person",
    "virtual_asset_description_prefix": "everything of twitter:user:",
    "virtual_asset_node_id_key": "a node has one description",
    "virtual_asset_pkey": "",
    "write_intent_pkey": "",
}


@pytest.fixture
def connection(database_url):
    """A connection that commits by itself."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


def rows(connection, query: str, *values: object) -> list[tuple]:
    return connection.execute(query, values or None).fetchall()


def test_every_table_and_column_of_the_design_is_there(connection):
    found: dict[str, set[str]] = {}
    query = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    )
    for table, column in rows(connection, query):
        found.setdefault(table, set()).add(column)
    missing = {
        table: sorted(set(columns.split()) - found.get(table, set()))
        for table, columns in DESIGN.items()
    }
    assert {table: columns for table, columns in missing.items() if columns} == {}


def test_everything_has_a_comment(connection):
    naked = rows(
        connection,
        """
        SELECT class.relname, attribute.attname
        FROM pg_class AS class
        JOIN pg_attribute AS attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'p')
            AND (coalesce(obj_description(class.oid, 'pg_class'), '') = ''
                OR coalesce(col_description(class.oid, attnum), '') = '')
        """,
    )
    assert naked == []


def test_no_column_is_json(connection):
    query = (
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type IN ('json', 'jsonb', 'xml', 'ARRAY', 'hstore')"
    )
    assert rows(connection, query) == []


def test_every_index_is_justified(connection):
    found = rows(connection, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    assert {name for (name,) in found} == set(INDEXES)


def test_every_foreign_key_has_an_index_where_it_is_followed_back(connection):
    """Or a delete, and every question from the other side, reads the whole table."""
    uncovered = rows(
        connection,
        """
        SELECT conrelid::regclass::text, attname
        FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = conkey[1]
        )
        ORDER BY 1, 2
        """,
    )
    # Small tables, or parents that are never deleted and seldom asked from.
    assert uncovered == [
        ("action_quarantine", "node_id"),
        ("edge", "relationship_id"),
        ("outbox_package", "ingest_batch_id"),
        ("pipeline_stage", "action_id"),
        ("superseded_result", "action_event_id"),
        ("superseded_result", "table_name"),
    ]


def test_action_zero_is_the_ingest(connection):
    assert rows(connection, "SELECT * FROM action") == [(0, "UA_1", "AC0")]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO file_type (file_extension, type) VALUES ('exe', 'program')",
        "INSERT INTO file_type (file_extension, type) VALUES ('JPG', 'image')",
        "INSERT INTO node (sha256, root_id, component_id) VALUES (sha256('x'), 1, 1)",
        "INSERT INTO node (sha256, is_virtual, root_id, component_id) VALUES ('x', true, 1, 1)",
        "INSERT INTO action VALUES (1, 'x', 'AC9')",
        "INSERT INTO source (description, meta_table_name) VALUES ('x', 'x')",
        "INSERT INTO source (description, meta_table_name) VALUES ('x', 'metax')",
        "INSERT INTO edge (parent_node_id, child_node_id, relationship_id) VALUES (1, 1, 1)",
        "INSERT INTO pipeline_stage VALUES (1, 0, 0)",
    ],
)
def test_what_the_schema_itself_refuses(connection, statement):
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(statement)


# ---- Sealed batches --------------------------------------------------------------------------


def add_nodes(connection, count: int) -> list[int]:
    start = rows(connection, "SELECT count(*) FROM node")[0][0]
    return [
        rows(
            connection,
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "VALUES (%s, true, 0, 0) RETURNING node_id",
            hashlib.sha256(str(start + number).encode()).digest(),
        )[0][0]
        for number in range(count)
    ]


def add_batch(connection, nodes: list[int], *, seal: bool = False) -> int:
    ((batch,),) = rows(
        connection, "INSERT INTO action_batch DEFAULT VALUES RETURNING action_batch_id"
    )
    for node in nodes:
        connection.execute(
            "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)",
            [batch, node],
        )
    if seal:
        connection.execute(
            "UPDATE action_batch SET seal_date = now() WHERE action_batch_id = %s", [batch]
        )
    return batch


def test_a_sealed_batch_stays_as_it_is(connection):
    inside, outside = add_nodes(connection, 2)
    batch = add_batch(connection, [inside], seal=True)
    empty = add_batch(connection, [], seal=True)
    open_batch = add_batch(connection, [outside])
    insert = "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)"
    move = "UPDATE action_batch_node SET action_batch_id = %s WHERE action_batch_id = %s"
    alter = "UPDATE action_batch SET {} WHERE action_batch_id = %s"
    for statement, values in (
        (insert, (batch, outside)),
        ("UPDATE action_batch_node SET node_id = %s WHERE action_batch_id = %s", (outside, batch)),
        ("DELETE FROM action_batch_node WHERE action_batch_id = %s", (batch,)),
        (move, (open_batch, batch)),
        (move, (batch, open_batch)),
        (alter.format("seal_date = NULL"), (batch,)),
        (alter.format("seal_date = now() + interval '1 day'"), (batch,)),
        (alter.format("create_date = create_date - interval '1 day'"), (batch,)),
        ("DELETE FROM action_batch WHERE action_batch_id = %s", (empty,)),
        ("TRUNCATE action_batch_node", ()),
        ("TRUNCATE action_batch CASCADE", ()),
    ):
        with pytest.raises(psycopg.errors.IntegrityError, match="sealed"):
            connection.execute(statement, values)
    members = "SELECT node_id FROM action_batch_node WHERE action_batch_id = %s"
    assert rows(connection, members, batch) == [(inside,)]
    assert rows(connection, members, open_batch) == [(outside,)]


def test_an_open_batch_changes(connection):
    first, second = add_nodes(connection, 2)
    batch = add_batch(connection, [first])
    connection.execute("UPDATE action_batch_node SET node_id = %s", [second])
    assert rows(connection, "SELECT node_id FROM action_batch_node") == [(second,)]
    connection.execute("DELETE FROM action_batch_node")
    assert rows(connection, "SELECT action_batch_id FROM action_batch") == [(batch,)]


def test_a_seal_and_an_insert_at_the_same_moment(connection, database_url):
    node, late = add_nodes(connection, 2)
    batch = add_batch(connection, [node])
    with psycopg.connect(database_url) as inserting:
        inserting.execute(
            "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)",
            [batch, late],
        )
        # The seal has to wait for it: otherwise the insert would commit after the seal.
        connection.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("UPDATE action_batch SET seal_date = clock_timestamp()")
    connection.execute("UPDATE action_batch SET seal_date = clock_timestamp()")
    assert rows(connection, "SELECT count(*) FROM action_batch_node") == [(2,)]


# ---- pipeline_batch --------------------------------------------------------------------------


def add_pipeline(connection, name: str, actions: list[int]) -> int:
    for action in actions:
        connection.execute(
            "INSERT INTO action VALUES (%s, %s, 'AC2') ON CONFLICT DO NOTHING",
            [action, f"a{action}"],
        )
    ((pipeline,),) = rows(connection, "INSERT INTO pipeline (name) VALUES (%s) RETURNING id", name)
    for stage, action in enumerate(actions, 1):
        connection.execute(
            "INSERT INTO pipeline_stage VALUES (%s, %s, %s)", [pipeline, stage, action]
        )
    return pipeline


def add_event(connection, action: int, batch: int, status: str = "done") -> None:
    connection.execute(
        "INSERT INTO action_event (action_id, action_batch_id, status) VALUES (%s, %s, %s)",
        [action, batch, status],
    )


def stages(connection) -> dict[tuple[int, int], int | None]:
    query = "SELECT action_batch_id, pipeline_id, current_stage FROM pipeline_batch"
    return {(batch, pipeline): stage for batch, pipeline, stage in rows(connection, query)}


def test_a_batch_moves_from_stage_to_stage(connection):
    pipeline = add_pipeline(connection, "photos", [1, 2])
    batch = add_batch(connection, add_nodes(connection, 3), seal=True)
    assert stages(connection) == {}
    add_event(connection, 1, batch, "waiting")
    assert stages(connection) == {(batch, pipeline): 1}
    for status in ("running", "failed", "cancelled"):
        add_event(connection, 1, batch, status)
        assert stages(connection) == {(batch, pipeline): 1}
    add_event(connection, 1, batch)
    assert stages(connection) == {(batch, pipeline): 2}
    add_event(connection, 2, batch)
    assert stages(connection) == {(batch, pipeline): None}


def test_a_shared_action_runs_once(connection):
    photos = add_pipeline(connection, "photos", [1, 2])
    faces = add_pipeline(connection, "faces", [1, 3])
    batch = add_batch(connection, add_nodes(connection, 2), seal=True)
    add_event(connection, 1, batch)
    assert stages(connection) == {(batch, photos): 2, (batch, faces): 2}
    add_event(connection, 3, batch)
    assert stages(connection) == {(batch, photos): 2, (batch, faces): None}


def test_a_stage_is_done_only_when_every_node_is(connection):
    pipeline = add_pipeline(connection, "photos", [1, 2])
    first, second, third = add_nodes(connection, 3)
    whole = add_batch(connection, [first, second, third], seal=True)
    add_event(connection, 2, whole, "waiting")
    part = add_batch(connection, [first, second], seal=True)
    add_event(connection, 1, part)
    # The third node is missing.
    assert stages(connection) == {(whole, pipeline): 1, (part, pipeline): 2}
    rest = add_batch(connection, [third], seal=True)
    add_event(connection, 1, rest, "running")
    assert stages(connection)[whole, pipeline] == 1
    add_event(connection, 1, rest)
    # Every node has been through action 1, in two other batches.
    assert stages(connection)[whole, pipeline] == 2


def test_a_later_stage_alone_does_not_skip_the_first(connection):
    pipeline = add_pipeline(connection, "photos", [1, 2])
    batch = add_batch(connection, add_nodes(connection, 1), seal=True)
    add_event(connection, 2, batch)
    assert stages(connection) == {(batch, pipeline): 1}


def test_nobody_writes_the_view(connection):
    with pytest.raises(psycopg.Error):
        connection.execute("INSERT INTO pipeline_batch VALUES (1, 1, 1)")
