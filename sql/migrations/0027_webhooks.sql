-- Webhooks: who is told of events over HTTP. Each reads the feed from a position of its own; what it is
-- told together, in which order and under which id, is written down before the first try.

CREATE TABLE webhook (
    webhook_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    user_id integer REFERENCES app_user (user_id) ON DELETE CASCADE,
    url text NOT NULL CHECK (url ~ '^https?://'),
    authorities text NOT NULL,
    authentication text NOT NULL CHECK (authentication IN ('none', 'bearer', 'basic', 'mutual_tls')),
    selector text,
    batch_max integer NOT NULL CHECK (batch_max BETWEEN 1 AND 100),
    position bigint NOT NULL,
    is_paused boolean NOT NULL DEFAULT false,
    pause_reason text NOT NULL DEFAULT '',
    failing_since timestamptz,
    create_time timestamptz NOT NULL DEFAULT now()
);
-- Those of an account go with it.
CREATE INDEX webhook_user_id ON webhook (user_id) WHERE user_id IS NOT NULL;
COMMENT ON TABLE webhook IS 'A receiver of events over HTTP';
COMMENT ON COLUMN webhook.webhook_id IS 'Surrogate key';
COMMENT ON COLUMN webhook.name IS 'Its name, lower case';
COMMENT ON COLUMN webhook.user_id IS 'The account whose rights say what it is told; NULL for the owner of the store';
COMMENT ON COLUMN webhook.url IS 'Where it listens';
COMMENT ON COLUMN webhook.authorities IS 'PEM of the authorities that alone are believed; empty for those of the system';
COMMENT ON COLUMN webhook.authentication IS 'How Drystone says who it is, beside the signature';
COMMENT ON COLUMN webhook.selector IS 'Of events about a batch, only those whose batch has a node of this selector, a JSON document; NULL for all';
COMMENT ON COLUMN webhook.batch_max IS 'So many events are told together; 1 tells each by itself';
COMMENT ON COLUMN webhook.position IS 'To here the feed was made into deliveries';
COMMENT ON COLUMN webhook.is_paused IS 'Whether it is told nothing for now';
COMMENT ON COLUMN webhook.pause_reason IS 'Why Drystone paused it; empty when a person did';
COMMENT ON COLUMN webhook.failing_since IS 'Since when it takes nothing; NULL when it took the last';
COMMENT ON COLUMN webhook.create_time IS 'When it was made';

CREATE TABLE webhook_type (
    webhook_id integer NOT NULL REFERENCES webhook (webhook_id) ON DELETE CASCADE,
    type text NOT NULL,
    PRIMARY KEY (webhook_id, type)
);
COMMENT ON TABLE webhook_type IS 'The types of events that a webhook is told; all where it has none here';
COMMENT ON COLUMN webhook_type.webhook_id IS 'The webhook';
COMMENT ON COLUMN webhook_type.type IS 'Such as processing.failed';

-- A table of its own, which the reading role cannot read.
CREATE TABLE webhook_secret (
    webhook_id integer PRIMARY KEY REFERENCES webhook (webhook_id) ON DELETE CASCADE,
    signing text NOT NULL,
    former_signing text,
    former_until timestamptz,
    credential text NOT NULL,
    CHECK ((former_signing IS NULL) = (former_until IS NULL))
);
COMMENT ON TABLE webhook_secret IS 'What a webhook is signed with and shown';
COMMENT ON COLUMN webhook_secret.webhook_id IS 'The webhook';
COMMENT ON COLUMN webhook_secret.signing IS 'The secret that signs';
COMMENT ON COLUMN webhook_secret.former_signing IS 'The one before, which signs too';
COMMENT ON COLUMN webhook_secret.former_until IS 'Until when it does';
COMMENT ON COLUMN webhook_secret.credential IS 'A bearer token, NAME:PASSWORD, or PEM of a certificate and its key; empty without authentication';

CREATE TABLE webhook_delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id integer NOT NULL REFERENCES webhook (webhook_id) ON DELETE CASCADE,
    message_id uuid NOT NULL DEFAULT gen_random_uuid(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'withheld', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    create_time timestamptz NOT NULL DEFAULT now(),
    end_time timestamptz,
    request text,
    status integer,
    answer text,
    duration_s double precision,
    error text
);
-- What waits, in the order in which it is told.
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (webhook_id, delivery_id) WHERE state = 'waiting';
-- The last ones of a webhook.
CREATE INDEX webhook_delivery_webhook_id ON webhook_delivery (webhook_id, delivery_id);
COMMENT ON TABLE webhook_delivery IS 'One message to a webhook, of one event or of several';
COMMENT ON COLUMN webhook_delivery.delivery_id IS 'Surrogate key; in its order they are told';
COMMENT ON COLUMN webhook_delivery.webhook_id IS 'Whom it is for';
COMMENT ON COLUMN webhook_delivery.message_id IS 'Its id for the receiver, the same in each try';
COMMENT ON COLUMN webhook_delivery.state IS 'waiting, done, withheld when nothing of it is for its owner any more, or failed when it was passed over';
COMMENT ON COLUMN webhook_delivery.attempts IS 'How often it was tried; raised before each try';
COMMENT ON COLUMN webhook_delivery.not_before IS 'When it is tried next';
COMMENT ON COLUMN webhook_delivery.create_time IS 'When it was made';
COMMENT ON COLUMN webhook_delivery.end_time IS 'When it left the state waiting';
COMMENT ON COLUMN webhook_delivery.request IS 'What was posted in the last try';
COMMENT ON COLUMN webhook_delivery.status IS 'The HTTP status that came of it; NULL when nothing was answered';
COMMENT ON COLUMN webhook_delivery.answer IS 'The beginning of the answer';
COMMENT ON COLUMN webhook_delivery.duration_s IS 'How long the last try took';
COMMENT ON COLUMN webhook_delivery.error IS 'Why the last try failed';

CREATE TABLE webhook_delivery_event (
    delivery_id bigint NOT NULL REFERENCES webhook_delivery (delivery_id) ON DELETE CASCADE,
    position bigint NOT NULL,
    PRIMARY KEY (delivery_id, position)
);
COMMENT ON TABLE webhook_delivery_event IS 'What a message tells';
COMMENT ON COLUMN webhook_delivery_event.delivery_id IS 'The message';
COMMENT ON COLUMN webhook_delivery_event.position IS 'The place of an event in the feed, which may have thrown it away';
