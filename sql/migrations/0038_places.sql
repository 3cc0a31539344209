-- Places are asked for: the tables of sources that say latitude and longitude get the index that
-- new ones are made with.

DO $$
DECLARE
    placed record;
BEGIN
    FOR placed IN
        SELECT declared.table_name
        FROM declared_table AS declared
        JOIN pg_class AS class ON class.relname = declared.table_name AND class.relnamespace = 'public'::regnamespace
        JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND NOT attribute.attisdropped
        WHERE declared.table_name LIKE 'meta\_%' AND attribute.attname IN ('latitude', 'longitude')
            AND attribute.atttypid = 'double precision'::regtype
        GROUP BY declared.table_name HAVING count(*) = 2
    LOOP
        EXECUTE format('CREATE INDEX ON %I (latitude, longitude) WHERE latitude IS NOT NULL', placed.table_name);
    END LOOP;
END $$;
