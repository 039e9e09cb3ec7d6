-- Originals and ledger records. No constraint, sequence or foreign key crosses a scope, so that both
-- tables can be distributed by it (see citus.sql). Everything here may run twice.

CREATE TABLE IF NOT EXISTS headroom_originals (
    scope      bytea       NOT NULL,
    handle     bytea       NOT NULL,
    kind       text        NOT NULL,
    codec      smallint    NOT NULL, -- 0 as it is, 1 zstd
    bytes      integer     NOT NULL, -- once decoded
    stored     integer     NOT NULL, -- of body
    expires_at timestamptz NOT NULL,
    body       bytea       NOT NULL,
    PRIMARY KEY (scope, handle)
);

CREATE TABLE IF NOT EXISTS headroom_records (
    scope      bytea       NOT NULL,
    key        bytea       NOT NULL,
    codec      smallint    NOT NULL,
    bytes      integer     NOT NULL,
    stored     integer     NOT NULL,
    expires_at timestamptz NOT NULL,
    body       bytea       NOT NULL,
    PRIMARY KEY (scope, key)
);

-- Compressed already.
ALTER TABLE headroom_originals ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE headroom_records ALTER COLUMN body SET STORAGE EXTERNAL;

-- For the sweep, which reads sizes without touching rows.
CREATE INDEX IF NOT EXISTS headroom_originals_expiry ON headroom_originals (expires_at) INCLUDE (stored);
CREATE INDEX IF NOT EXISTS headroom_records_expiry ON headroom_records (expires_at);

-- The second wall: a transaction sees the scope it names, or, in a sweep, what may be deleted.
ALTER TABLE headroom_originals ENABLE ROW LEVEL SECURITY;
ALTER TABLE headroom_originals FORCE ROW LEVEL SECURITY;
ALTER TABLE headroom_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE headroom_records FORCE ROW LEVEL SECURITY;

DO $$
DECLARE
    place text;
BEGIN
    FOREACH place IN ARRAY ARRAY['headroom_originals', 'headroom_records'] LOOP
        EXECUTE format('DROP POLICY IF EXISTS headroom_scope ON %I', place);
        EXECUTE format(
            'CREATE POLICY headroom_scope ON %I USING (scope = decode(current_setting(''headroom.scope'', true), ''hex''))',
            place);
        EXECUTE format('DROP POLICY IF EXISTS headroom_sweep_select ON %I', place);
        EXECUTE format(
            'CREATE POLICY headroom_sweep_select ON %I FOR SELECT USING (current_setting(''headroom.sweep'', true) = ''on'')',
            place);
        EXECUTE format('DROP POLICY IF EXISTS headroom_sweep_update ON %I', place);
        EXECUTE format(
            'CREATE POLICY headroom_sweep_update ON %I FOR UPDATE USING (current_setting(''headroom.sweep'', true) = ''on'') WITH CHECK (false)',
            place);
        EXECUTE format('DROP POLICY IF EXISTS headroom_sweep_delete ON %I', place);
        EXECUTE format(
            'CREATE POLICY headroom_sweep_delete ON %I FOR DELETE USING (current_setting(''headroom.sweep'', true) = ''on'')',
            place);
    END LOOP;
END
$$;
