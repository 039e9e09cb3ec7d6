-- Distributes both tables by scope over the workers of a Citus cluster. Run once, on the
-- coordinator, as the owner, after the migrations. Each call of the store stays on one shard.
SELECT create_distributed_table('headroom_originals', 'scope');
SELECT create_distributed_table('headroom_records', 'scope', colocate_with => 'headroom_originals');
-- Policies on the workers see a transaction's scope only if SET LOCAL is passed on to them. For every
-- session of the gateways:
--   ALTER ROLE headroom_gateway SET citus.propagate_set_commands = 'local';
