-- Cold copies that cannot be read back are confirmed by their checksums, or on somebody's word.

ALTER TABLE outbox_package ADD COLUMN confirmed_by text CHECK (confirmed_by IN ('copy', 'sums', 'trust'));
UPDATE outbox_package SET confirmed_by = 'copy' WHERE confirm_time IS NOT NULL;
ALTER TABLE outbox_package ADD CHECK ((confirm_time IS NULL) = (confirmed_by IS NULL));
COMMENT ON COLUMN outbox_package.confirmed_by IS 'How: the copy was read, a listing of its checksums was compared, or nothing was looked at';
COMMENT ON COLUMN outbox_package.confirm_time IS 'When its TYPE1 copy was confirmed; NULL before';
COMMENT ON COLUMN outbox_package.confirmed_copy IS 'Where that copy, or the listing, was; NULL on trust';
