-- Distributes both tables by scope over the workers of a Citus cluster. Run once, on the
-- coordinator, as the owner, after the migrations. Each call of the store stays on one shard.
SELECT create_distributed_table('headroom_originals', 'scope');
SELECT create_distributed_table('headroom_records', 'scope', colocate_with => 'headroom_originals');
-- Workers see the scope of a transaction only if its SET LOCAL is passed on to them.
-- for every session: ALTER DATABASE name SET citus.propagate_set_commands = 'local';
