-- What UA_2 knows beside the history of actions (table 11): contracts, what became of each node,
-- what could not be read, results that were replaced, and the answers of people (AC5).

-- ---- Contracts ----------------------------------------------------------------------------------
CREATE TABLE action_contract (
    action_id integer NOT NULL REFERENCES action (action_id),
    version integer NOT NULL CHECK (version >= 1),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    document text NOT NULL,
    register_time timestamptz NOT NULL DEFAULT now(),
    -- A version may be written down again (a better description, a repaired parser): each is kept.
    PRIMARY KEY (action_id, version, digest)
);
COMMENT ON TABLE action_contract IS 'The contracts that actions were run by, as they were then';
COMMENT ON COLUMN action_contract.action_id IS 'The action';
COMMENT ON COLUMN action_contract.version IS 'Its version: raised whenever the outcome could be another';
COMMENT ON COLUMN action_contract.digest IS 'sha256 of the contract as canonical JSON';
COMMENT ON COLUMN action_contract.document IS 'The contract as canonical JSON';
COMMENT ON COLUMN action_contract.register_time IS 'When it was used first';

-- ---- Events in detail, nodes --------------------------------------------------------------------
CREATE TABLE action_event_detail (
    action_event_id bigint PRIMARY KEY REFERENCES action_event (id),
    run_reference text NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    contract_digest bytea NOT NULL CHECK (octet_length(contract_digest) = 32),
    parameters text NOT NULL,
    parameters_digest bytea NOT NULL CHECK (octet_length(parameters_digest) = 32),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'partial', 'failed', 'cancelled')),
    -- A run that is begun again after a crash finds the event that it had.
    UNIQUE (run_reference)
);
COMMENT ON TABLE action_event_detail IS 'What makes two events the same work: version and parameters; and which run it was';
COMMENT ON COLUMN action_event_detail.action_event_id IS 'The event (table 11)';
COMMENT ON COLUMN action_event_detail.run_reference IS 'The run of the scheduler';
COMMENT ON COLUMN action_event_detail.version IS 'Version of the contract';
COMMENT ON COLUMN action_event_detail.contract_digest IS 'The contract as it was when the run began';
COMMENT ON COLUMN action_event_detail.parameters IS 'The parameters as canonical JSON';
COMMENT ON COLUMN action_event_detail.parameters_digest IS 'sha256 of the parameters';
COMMENT ON COLUMN action_event_detail.state IS 'open while it runs; partial when some nodes are done and others not';

CREATE TABLE action_node (
    action_event_id bigint NOT NULL REFERENCES action_event (id),
    node_id bigint NOT NULL REFERENCES node (node_id),
    part integer NOT NULL CHECK (part >= 0),
    outcome text NOT NULL CHECK (outcome IN ('done', 'missing', 'failed')),
    reason text,
    PRIMARY KEY (action_event_id, node_id)
);
-- Which nodes of a batch are done for the same action, version and parameters: from the node to the
-- few events in which it was done. A shared action is not run twice.
CREATE INDEX action_node_done ON action_node (node_id, action_event_id) WHERE outcome = 'done';
COMMENT ON TABLE action_node IS 'What became of each node in a run of an action';
COMMENT ON COLUMN action_node.action_event_id IS 'The run';
COMMENT ON COLUMN action_node.node_id IS 'The input';
COMMENT ON COLUMN action_node.part IS 'The part of the run in which it was';
COMMENT ON COLUMN action_node.outcome IS 'done; missing: no output named it; failed: its part or one of its outputs was refused';
COMMENT ON COLUMN action_node.reason IS 'Why it is missing or failed, for a person';

-- ---- Quarantine of outputs ----------------------------------------------------------------------
CREATE TABLE action_quarantine (
    action_quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_event_id bigint NOT NULL REFERENCES action_event (id),
    part integer NOT NULL CHECK (part >= 0),
    path text NOT NULL,
    record_number integer NOT NULL DEFAULT -1,
    node_id bigint REFERENCES node (node_id),
    reason text NOT NULL,
    sha256 bytea CHECK (octet_length(sha256) = 32),
    store_batch text,
    quarantine_time timestamptz NOT NULL DEFAULT now(),
    replay_time timestamptz,
    -- Reading the same outputs again finds the same bad records.
    UNIQUE (action_event_id, part, path, record_number)
);
COMMENT ON TABLE action_quarantine IS 'Outputs that could not be understood; their bytes are kept in the store';
COMMENT ON COLUMN action_quarantine.action_quarantine_id IS 'Surrogate key';
COMMENT ON COLUMN action_quarantine.action_event_id IS 'The run that wrote it';
COMMENT ON COLUMN action_quarantine.part IS 'The part of the run';
COMMENT ON COLUMN action_quarantine.path IS 'Path below the output folder, printable';
COMMENT ON COLUMN action_quarantine.record_number IS 'Record in the file, from 0; -1 for the whole file';
COMMENT ON COLUMN action_quarantine.node_id IS 'The input that it is about; NULL where that is unknown';
COMMENT ON COLUMN action_quarantine.reason IS 'What is wrong, for a person';
COMMENT ON COLUMN action_quarantine.sha256 IS 'Key of the file in the store; NULL for what is no file, or too large to keep';
COMMENT ON COLUMN action_quarantine.store_batch IS 'The batch of the store that holds the file and the list of inputs, for a replay';
COMMENT ON COLUMN action_quarantine.quarantine_time IS 'When it was set aside';
COMMENT ON COLUMN action_quarantine.replay_time IS 'When a later reading understood it; NULL before';

-- ---- Results that were replaced -----------------------------------------------------------------
CREATE TABLE superseded_result (
    superseded_result_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL REFERENCES declared_table (table_name),
    node_id bigint NOT NULL REFERENCES node (node_id),
    action_event_id bigint NOT NULL REFERENCES action_event (id),
    document text NOT NULL,
    superseded_by text NOT NULL,
    supersede_time timestamptz NOT NULL DEFAULT now()
);
-- What was said of a node before.
CREATE INDEX superseded_result_node_id ON superseded_result (node_id, table_name);
COMMENT ON TABLE superseded_result IS 'Rows that left a result_ACTION table because a later run found something else: result tables hold what counts now';
COMMENT ON COLUMN superseded_result.superseded_result_id IS 'Surrogate key';
COMMENT ON COLUMN superseded_result.table_name IS 'The result table (13.x)';
COMMENT ON COLUMN superseded_result.node_id IS 'The node this was found about';
COMMENT ON COLUMN superseded_result.action_event_id IS 'The run that found it';
COMMENT ON COLUMN superseded_result.document IS 'The whole row as it was, as JSON';
COMMENT ON COLUMN superseded_result.superseded_by IS 'The write-intent in whose transaction it was replaced';
COMMENT ON COLUMN superseded_result.supersede_time IS 'When it was replaced';

-- ---- Human labels (AC5) -------------------------------------------------------------------------
CREATE TABLE label_task (
    label_task_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_event_id bigint NOT NULL REFERENCES action_event (id),
    node_id bigint NOT NULL REFERENCES node (node_id),
    labellers_wanted integer NOT NULL CHECK (labellers_wanted BETWEEN 1 AND 20),
    create_time timestamptz NOT NULL DEFAULT now(),
    -- Staging the tasks again finds the same ones.
    UNIQUE (action_event_id, node_id)
);
-- The tasks of a node, in whatever run.
CREATE INDEX label_task_node_id ON label_task (node_id);
COMMENT ON TABLE label_task IS 'AC5: what people are asked about a node';
COMMENT ON COLUMN label_task.label_task_id IS 'Surrogate key';
COMMENT ON COLUMN label_task.action_event_id IS 'The run that asks';
COMMENT ON COLUMN label_task.node_id IS 'The node that is asked about';
COMMENT ON COLUMN label_task.labellers_wanted IS 'So many people answer it';
COMMENT ON COLUMN label_task.create_time IS 'When it was made';

CREATE TABLE label_answer (
    label_answer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label_task_id bigint NOT NULL REFERENCES label_task (label_task_id),
    labeller text NOT NULL CHECK (length(labeller) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind IN ('answer', 'skip', 'undo')),
    document text,
    undoes bigint UNIQUE REFERENCES label_answer (label_answer_id),
    origin text NOT NULL,
    import_key bytea CHECK (octet_length(import_key) = 32),
    answer_time timestamptz NOT NULL DEFAULT now(),
    -- Importing the same file again adds nothing.
    UNIQUE (label_task_id, import_key),
    CHECK ((kind = 'answer') = (document IS NOT NULL)),
    CHECK ((kind = 'undo') = (undoes IS NOT NULL))
);
-- The newest answer of each labeller to a task; history is read by it too.
CREATE INDEX label_answer_newest ON label_answer (label_task_id, labeller, label_answer_id);
COMMENT ON TABLE label_answer IS 'AC5: what people said, all of it; nothing is changed or removed';
COMMENT ON COLUMN label_answer.label_answer_id IS 'Surrogate key; grows with time, so the greatest is the newest';
COMMENT ON COLUMN label_answer.label_task_id IS 'What was asked';
COMMENT ON COLUMN label_answer.labeller IS 'Who said it';
COMMENT ON COLUMN label_answer.kind IS 'answer; skip: cannot be answered; undo: takes back an earlier answer or skip';
COMMENT ON COLUMN label_answer.document IS 'The answer as JSON: its class, or its boxes; NULL for skip and undo';
COMMENT ON COLUMN label_answer.undoes IS 'The answer or skip that is taken back';
COMMENT ON COLUMN label_answer.origin IS 'gui, or the format of the file that it was imported from';
COMMENT ON COLUMN label_answer.import_key IS 'sha256 of what a file said: the same is imported once; NULL in the GUI';
COMMENT ON COLUMN label_answer.answer_time IS 'When it came in';

-- What counts now: of each labeller the newest answer or skip that was not taken back.
CREATE VIEW label_current AS
SELECT DISTINCT ON (answer.label_task_id, answer.labeller)
    answer.label_answer_id, answer.label_task_id, answer.labeller, answer.kind, answer.document,
    answer.origin, answer.answer_time
FROM label_answer AS answer
WHERE answer.kind <> 'undo' AND NOT EXISTS (
    SELECT FROM label_answer AS later WHERE later.undoes = answer.label_answer_id
)
ORDER BY answer.label_task_id, answer.labeller, answer.label_answer_id DESC;
COMMENT ON VIEW label_current IS 'AC5: what each labeller says now to each task';
COMMENT ON COLUMN label_current.label_answer_id IS 'The answer';
COMMENT ON COLUMN label_current.label_task_id IS 'What was asked';
COMMENT ON COLUMN label_current.labeller IS 'Who says it';
COMMENT ON COLUMN label_current.kind IS 'answer or skip';
COMMENT ON COLUMN label_current.document IS 'The answer; NULL for a skip';
COMMENT ON COLUMN label_current.origin IS 'gui, or the format of the file that it was imported from';
COMMENT ON COLUMN label_current.answer_time IS 'When it came in';

-- ---- Pipelines as they were written -------------------------------------------------------------
CREATE TABLE pipeline_document (
    pipeline_id integer PRIMARY KEY REFERENCES pipeline (id),
    document text NOT NULL,
    declare_time timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pipeline_document IS 'What a pipeline says beside its actions: gates and parameters of its stages';
COMMENT ON COLUMN pipeline_document.pipeline_id IS 'The pipeline (12a)';
COMMENT ON COLUMN pipeline_document.document IS 'The pipeline as canonical JSON';
COMMENT ON COLUMN pipeline_document.declare_time IS 'When it was declared last';
