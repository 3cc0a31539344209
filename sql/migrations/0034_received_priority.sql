-- What was sent has a priority from 1 to 10, as runs have. It was a word; `normal` was what nobody said.

DO $$
BEGIN
    IF to_regclass('meta_received') IS NOT NULL THEN
        ALTER TABLE meta_received ALTER COLUMN priority TYPE integer
            USING CASE priority WHEN 'high' THEN 3 END;
    END IF;
END $$;

-- Its version stays: the code declares the next one, which differs from this by a comment.
UPDATE declared_table SET definition = jsonb_set(
    definition::jsonb,
    ARRAY['columns', (column_number - 1)::text, 'type'],
    '"integer"'
)::text
FROM (
    SELECT table_name AS changed, column_number FROM declared_table,
        jsonb_array_elements(definition::jsonb -> 'columns') WITH ORDINALITY AS columns (said, column_number)
    WHERE table_name = 'meta_received' AND said ->> 'name' = 'priority'
) AS found WHERE table_name = changed;
