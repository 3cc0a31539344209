-- Small pictures of images and videos, made once by a job and kept in the store as generated data.

CREATE TABLE thumbnail (
    node_id bigint PRIMARY KEY REFERENCES node (node_id),
    thumbnail_key bytea CHECK (octet_length(thumbnail_key) = 32),
    reason text CHECK (reason <> ''),
    make_time timestamptz NOT NULL DEFAULT now(),
    -- A picture, or why there is none: what cannot be decoded is tried once.
    CHECK ((thumbnail_key IS NULL) <> (reason IS NULL))
);
COMMENT ON TABLE thumbnail IS 'Thumbnails in the store; a node without a row has none yet';
COMMENT ON COLUMN thumbnail.node_id IS 'The image or video';
COMMENT ON COLUMN thumbnail.thumbnail_key IS 'Key of its picture in the store (class generated); NULL when none can be made';
COMMENT ON COLUMN thumbnail.reason IS 'Why none can be made; NULL when there is one';
COMMENT ON COLUMN thumbnail.make_time IS 'When it was made, or tried';
