-- A role for the gateways: reads and writes rows, owns nothing, and cannot pass row-level security.
-- Run as the owner of the tables, after the migrations; the gateways then connect as this role and
-- need no other right. Superusers and roles with BYPASSRLS are not held by the policies.
CREATE ROLE headroom_gateway LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT;
GRANT SELECT, INSERT, UPDATE, DELETE ON headroom_originals, headroom_records TO headroom_gateway;
GRANT SELECT ON headroom_schema TO headroom_gateway;
-- and give it a way to log in: ALTER ROLE headroom_gateway PASSWORD '...';
