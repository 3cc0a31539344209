-- Runs: what was asked of the scheduler, what became of it, and what others are told about it. This is
-- the truth; Redis only carries the numbers of tasks to workers and may be emptied at any time.
--
-- Documents (parameters, specs, results) are text that SQL never looks into: their form belongs to the
-- workflow that wrote them.

-- ---- run ----------------------------------------------------------------------------------------
CREATE TABLE run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow text NOT NULL CHECK (workflow <> ''),
    run_key text NOT NULL CHECK (run_key <> ''),
    parameters text NOT NULL,
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'waiting', 'done', 'partial', 'failed', 'cancelled')),
    priority smallint NOT NULL DEFAULT 0,
    round integer NOT NULL DEFAULT 1 CHECK (round >= 1),
    requested_by text NOT NULL DEFAULT '',
    cancel_time timestamptz,
    reason text,
    create_time timestamptz NOT NULL DEFAULT now(),
    start_time timestamptz,
    end_time timestamptz
);
-- The same request while one is going on is the same run, whoever asks and however many at once.
CREATE UNIQUE INDEX run_active_key ON run (run_key)
    WHERE state IN ('queued', 'running', 'waiting');
-- "Was this done before?" for workflows whose request is done once for ever.
CREATE INDEX run_key_done ON run (run_key) WHERE state = 'done';
-- Lists of one workflow, newest first; lists of all follow the primary key.
CREATE INDEX run_workflow ON run (workflow, run_id);
-- Dashboards count and list what has not ended, which is little among many that have.
CREATE INDEX run_not_ended ON run (state, run_id) WHERE state <> 'done';
COMMENT ON TABLE run IS 'One request of a workflow';
COMMENT ON COLUMN run.run_id IS 'Surrogate key';
COMMENT ON COLUMN run.workflow IS 'Name of the workflow, such as ua_1';
COMMENT ON COLUMN run.run_key IS 'What makes two requests the same: a hash of workflow and parameters, or a name that the workflow gives';
COMMENT ON COLUMN run.parameters IS 'JSON document of the request, checked by the workflow';
COMMENT ON COLUMN run.state IS 'Derived from its tasks whenever one of them changes; waiting: every open task waits for somebody';
COMMENT ON COLUMN run.priority IS 'The greater comes first among queued tasks; 0 is normal';
COMMENT ON COLUMN run.round IS '1, and one more with every retry of the run';
COMMENT ON COLUMN run.requested_by IS 'The person or schedule that asked; empty when nobody said';
COMMENT ON COLUMN run.cancel_time IS 'When somebody asked to cancel it; NULL when nobody did';
COMMENT ON COLUMN run.reason IS 'Why it failed, was partial or was cancelled';
COMMENT ON COLUMN run.create_time IS 'When it was asked for';
COMMENT ON COLUMN run.start_time IS 'When its first task began';
COMMENT ON COLUMN run.end_time IS 'When its last task ended';

-- ---- run_task -----------------------------------------------------------------------------------
CREATE TABLE run_task (
    task_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES run (run_id) ON DELETE CASCADE,
    step text NOT NULL CHECK (step <> ''),
    part integer NOT NULL DEFAULT 0 CHECK (part >= 0),
    queue text NOT NULL CHECK (queue <> ''),
    priority smallint NOT NULL DEFAULT 0,
    state text NOT NULL CHECK (state IN (
        'queued', 'running', 'waiting_gpu_ready', 'waiting_approval', 'waiting_space',
        'waiting_labels', 'done', 'partial', 'failed', 'cancelled'
    )),
    gate text CHECK (gate IN ('gpu', 'approval')),
    gate_passed boolean NOT NULL DEFAULT false,
    round integer NOT NULL DEFAULT 1,
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    attempts_max integer NOT NULL DEFAULT 3 CHECK (attempts_max >= 1),
    backoff_s double precision NOT NULL DEFAULT 5 CHECK (backoff_s >= 0),
    not_before timestamptz NOT NULL DEFAULT now(),
    delivered_time timestamptz,
    worker text,
    heartbeat timestamptz,
    progress text,
    spec text NOT NULL,
    result text,
    error text,
    create_time timestamptz NOT NULL DEFAULT now(),
    start_time timestamptz,
    end_time timestamptz,
    -- A step is done once per part: a finish that comes twice makes its successors once.
    UNIQUE (run_id, step, part)
);
-- What is delivered next, in order.
CREATE INDEX run_task_queued ON run_task (queue, priority DESC, task_id)
    WHERE state = 'queued' AND delivered_time IS NULL;
-- What Redis should have, which is little: counted at every delivery.
CREATE INDEX run_task_delivered ON run_task (queue)
    WHERE state = 'queued' AND delivered_time IS NOT NULL;
-- Counting against the limit of a queue, and finding those whose worker fell silent.
CREATE INDEX run_task_running ON run_task (queue, heartbeat) WHERE state = 'running';
-- Whether anything of a run is open: asked at every end of a task, however many have ended.
CREATE INDEX run_task_open ON run_task (run_id, state)
    WHERE state NOT IN ('done', 'partial', 'failed', 'cancelled');
-- What is behind a gate of the GPU machines, looked at every second.
CREATE INDEX run_task_gpu ON run_task (state)
    WHERE gate = 'gpu' AND state NOT IN ('done', 'partial', 'failed', 'cancelled');
-- Opening a gate, and looking again whether there is space.
CREATE INDEX run_task_waiting ON run_task (state, not_before)
    WHERE state IN ('waiting_gpu_ready', 'waiting_approval', 'waiting_space', 'waiting_labels');
COMMENT ON TABLE run_task IS 'One step of a run, for one part of its work: what one job of a queue executes';
COMMENT ON COLUMN run_task.task_id IS 'Surrogate key';
COMMENT ON COLUMN run_task.run_id IS 'The run';
COMMENT ON COLUMN run_task.step IS 'Name of the step in its workflow';
COMMENT ON COLUMN run_task.part IS 'Number of the part, from 1; 0 for a step that is done once';
COMMENT ON COLUMN run_task.queue IS 'Which workers take it, such as io, cpu, gpu';
COMMENT ON COLUMN run_task.priority IS 'That of the run';
COMMENT ON COLUMN run_task.state IS 'Where it is; the four waiting states hold no worker';
COMMENT ON COLUMN run_task.gate IS 'What must be opened before it may run: gpu or approval; NULL for nothing';
COMMENT ON COLUMN run_task.gate_passed IS 'Whether somebody approved it; of no meaning for gpu, whose gates close again';
COMMENT ON COLUMN run_task.round IS 'The round of the run in which it was last made or begun anew';
COMMENT ON COLUMN run_task.attempt IS 'Fencing token: raised by every claim; whoever holds an older one changes nothing';
COMMENT ON COLUMN run_task.failures IS 'Attempts of this round that failed or were lost';
COMMENT ON COLUMN run_task.attempts_max IS 'After so many failures it is failed';
COMMENT ON COLUMN run_task.backoff_s IS 'Pause after the first failure; doubled by each further one, with jitter';
COMMENT ON COLUMN run_task.not_before IS 'Not queued before; for waiting_space when to look again';
COMMENT ON COLUMN run_task.delivered_time IS 'When it was pushed to Redis since it is queued; NULL when it was not';
COMMENT ON COLUMN run_task.worker IS 'Who runs it, or ran it last';
COMMENT ON COLUMN run_task.heartbeat IS 'When its worker was last heard of';
COMMENT ON COLUMN run_task.progress IS 'JSON document of how far it is';
COMMENT ON COLUMN run_task.spec IS 'JSON document of what is to be done, such as the nodes of the part';
COMMENT ON COLUMN run_task.result IS 'JSON document of what came out';
COMMENT ON COLUMN run_task.error IS 'Why the last attempt failed, or what it waits for';
COMMENT ON COLUMN run_task.create_time IS 'When it was made';
COMMENT ON COLUMN run_task.start_time IS 'When its latest attempt began';
COMMENT ON COLUMN run_task.end_time IS 'When it ended; NULL while it has not';

-- ---- run_attempt --------------------------------------------------------------------------------
CREATE TABLE run_attempt (
    task_id bigint NOT NULL REFERENCES run_task (task_id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    worker text NOT NULL,
    start_time timestamptz NOT NULL DEFAULT now(),
    end_time timestamptz,
    outcome text,
    reason text,
    log_path text,
    PRIMARY KEY (task_id, attempt)
);
COMMENT ON TABLE run_attempt IS 'Every time that a worker took a task, for ever';
COMMENT ON COLUMN run_attempt.task_id IS 'The task';
COMMENT ON COLUMN run_attempt.attempt IS 'Its fencing token';
COMMENT ON COLUMN run_attempt.worker IS 'Name of the worker';
COMMENT ON COLUMN run_attempt.start_time IS 'When it was claimed';
COMMENT ON COLUMN run_attempt.end_time IS 'When it ended or was taken back';
COMMENT ON COLUMN run_attempt.outcome IS 'A state of run_task that it ended in, or retry, or lost when its worker fell silent';
COMMENT ON COLUMN run_attempt.reason IS 'Why, when it was not done';
COMMENT ON COLUMN run_attempt.log_path IS 'Its log, relative to the folder of logs; NULL when there is none';

-- ---- event, delivery (outbox) -------------------------------------------------------------------
CREATE TABLE event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind <> ''),
    subject text NOT NULL,
    document text NOT NULL,
    -- One event per key: a check that finds the same trouble every minute tells it once.
    once_key text UNIQUE,
    create_time timestamptz NOT NULL DEFAULT now(),
    planned boolean NOT NULL DEFAULT false
);
-- Events whose deliveries are not planned yet; nearly all others are.
CREATE INDEX event_not_planned ON event (event_id) WHERE NOT planned;
COMMENT ON TABLE event IS 'Outbox: what happened that somebody may want to be told, written in the transaction in which it happened';
COMMENT ON COLUMN event.event_id IS 'Surrogate key';
COMMENT ON COLUMN event.kind IS 'Such as run_failed, run_done, gate_waiting';
COMMENT ON COLUMN event.subject IS 'What it is about, such as run 12';
COMMENT ON COLUMN event.document IS 'JSON document for the receiver';
COMMENT ON COLUMN event.once_key IS 'Whatever makes it the same as another; NULL when each is its own';
COMMENT ON COLUMN event.create_time IS 'When it happened';
COMMENT ON COLUMN event.planned IS 'Whether its deliveries have been made';

CREATE TABLE delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id bigint NOT NULL REFERENCES event (event_id) ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel <> ''),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    error text,
    end_time timestamptz,
    -- An event goes to a channel once, however often its deliveries are planned.
    UNIQUE (event_id, channel)
);
-- What is due.
CREATE INDEX delivery_waiting ON delivery (not_before) WHERE state = 'waiting';
COMMENT ON TABLE delivery IS 'One event on its way to one channel (command, webhook, mail)';
COMMENT ON COLUMN delivery.delivery_id IS 'Surrogate key; receivers see it, so that they can tell a repeat';
COMMENT ON COLUMN delivery.event_id IS 'What is told';
COMMENT ON COLUMN delivery.channel IS 'Name of the channel in the configuration';
COMMENT ON COLUMN delivery.state IS 'waiting, done, or failed when nobody took it in the end';
COMMENT ON COLUMN delivery.attempts IS 'How often it was tried; raised before each try';
COMMENT ON COLUMN delivery.not_before IS 'When it is tried next';
COMMENT ON COLUMN delivery.error IS 'Why the last try failed';
COMMENT ON COLUMN delivery.end_time IS 'When it was done or given up';

-- ---- queue_state, gpu_gate ----------------------------------------------------------------------
CREATE TABLE queue_state (
    queue text PRIMARY KEY CHECK (queue <> ''),
    paused boolean NOT NULL DEFAULT false,
    draining boolean NOT NULL DEFAULT false,
    running_max integer CHECK (running_max >= 0),
    change_time timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT ''
);
COMMENT ON TABLE queue_state IS 'What was said about a queue; one without a row is open';
COMMENT ON COLUMN queue_state.queue IS 'Its name';
COMMENT ON COLUMN queue_state.paused IS 'Nothing is begun; what runs goes on';
COMMENT ON COLUMN queue_state.draining IS 'Runs that have begun are carried to their end, others wait';
COMMENT ON COLUMN queue_state.running_max IS 'So many of its tasks run at once, on whatever workers; NULL for no limit';
COMMENT ON COLUMN queue_state.change_time IS 'When this was last said';
COMMENT ON COLUMN queue_state.changed_by IS 'By whom; empty when nobody said';

CREATE TABLE gpu_gate (
    host text PRIMARY KEY CHECK (host <> ''),
    state text NOT NULL CHECK (state IN ('asleep', 'waking', 'ready')),
    since timestamptz NOT NULL DEFAULT now(),
    last_busy timestamptz NOT NULL DEFAULT now(),
    reason text
);
COMMENT ON TABLE gpu_gate IS 'The GPU machines; tasks behind the gpu gate run while any of them is ready';
COMMENT ON COLUMN gpu_gate.host IS 'Name of the machine';
COMMENT ON COLUMN gpu_gate.state IS 'asleep, waking after the wake command, or ready';
COMMENT ON COLUMN gpu_gate.since IS 'When it came into this state';
COMMENT ON COLUMN gpu_gate.last_busy IS 'When a task behind the gate last ran or waited while it was ready';
COMMENT ON COLUMN gpu_gate.reason IS 'Why waking it failed, or who changed it';

-- The state in which a task begins, or begins anew: an open gate lets it straight into its queue.
CREATE FUNCTION run_task_entry(gate text, gate_passed boolean) RETURNS text LANGUAGE sql STABLE
RETURN CASE
    WHEN gate = 'approval' AND NOT gate_passed THEN 'waiting_approval'
    WHEN gate = 'gpu' AND NOT EXISTS (SELECT FROM gpu_gate WHERE gpu_gate.state = 'ready')
        THEN 'waiting_gpu_ready'
    ELSE 'queued'
END;
COMMENT ON FUNCTION run_task_entry IS 'State in which a task behind this gate begins';
