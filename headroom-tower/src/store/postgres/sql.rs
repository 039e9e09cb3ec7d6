//! The statements. Times are the database's, so replicas' clocks do not matter; what was seen in the
//! last tenth of its idle time is not written again. `$1` is always the scope.

/// `$2..$6` are columns, `$7` the idle time in seconds. Text that is there is not written again: a
/// handle is its hash.
pub(super) const PUT_ORIGINALS: &str = "\
INSERT INTO headroom_originals (scope, handle, kind, codec, bytes, stored, body, expires_at)
SELECT $1, handle, kind, codec, bytes, length(body), body, now() + make_interval(secs => $7)
FROM unnest($2::bytea[], $3::text[], $4::smallint[], $5::integer[], $6::bytea[])
     AS new (handle, kind, codec, bytes, body)
ON CONFLICT (scope, handle) DO UPDATE SET expires_at = excluded.expires_at
WHERE headroom_originals.expires_at < now() + make_interval(secs => $7 * 0.9)";

/// `$2..$5` are columns, `$6` the idle time.
pub(super) const PUT_RECORDS: &str = "\
INSERT INTO headroom_records (scope, key, codec, bytes, stored, body, expires_at)
SELECT $1, key, codec, bytes, length(body), body, now() + make_interval(secs => $6)
FROM unnest($2::bytea[], $3::smallint[], $4::integer[], $5::bytea[]) AS new (key, codec, bytes, body)
ON CONFLICT (scope, key) DO UPDATE
SET codec = excluded.codec, bytes = excluded.bytes, stored = excluded.stored, body = excluded.body,
    expires_at = excluded.expires_at
WHERE headroom_records.body IS DISTINCT FROM excluded.body
   OR headroom_records.expires_at < now() + make_interval(secs => $6 * 0.9)";

/// Which of the handles `$2` are held, and whether their expiry is to be moved; `$3` is the idle time.
pub(super) const HELD: &str = "\
SELECT handle, expires_at < now() + make_interval(secs => $3 * 0.9) FROM headroom_originals
WHERE scope = $1 AND handle = ANY ($2) AND expires_at > now()";

/// The original of the one handle in `$2`, likewise.
pub(super) const GET: &str = "\
SELECT codec, body, bytes, expires_at < now() + make_interval(secs => $3 * 0.9) FROM headroom_originals
WHERE scope = $1 AND handle = ANY ($2) AND expires_at > now()";

/// The records under the keys `$2`, likewise.
pub(super) const GET_RECORDS: &str = "\
SELECT key, codec, body, bytes, expires_at < now() + make_interval(secs => $3 * 0.9)
FROM headroom_records WHERE scope = $1 AND key = ANY ($2) AND expires_at > now()";

/// Moves the expiry of the handles `$2`. A row that somebody else has locked is being moved or put
/// already.
pub(super) const RENEW_ORIGINALS: &str = "\
WITH aged AS (
    SELECT handle FROM headroom_originals WHERE scope = $1 AND handle = ANY ($2) AND expires_at > now()
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE headroom_originals held SET expires_at = now() + make_interval(secs => $3)
FROM aged WHERE held.scope = $1 AND held.handle = aged.handle";

/// Moves the expiry of the records under the keys `$2`.
pub(super) const RENEW_RECORDS: &str = "\
WITH aged AS (
    SELECT key FROM headroom_records WHERE scope = $1 AND key = ANY ($2) AND expires_at > now()
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE headroom_records held SET expires_at = now() + make_interval(secs => $3)
FROM aged WHERE held.scope = $1 AND held.key = aged.key";

/// In the order of puts, so that neither waits for the other in a circle.
pub(super) const DELETE_SCOPE: [&str; 2] = [
    "WITH gone AS (SELECT handle FROM headroom_originals WHERE scope = $1 ORDER BY handle FOR UPDATE)
     DELETE FROM headroom_originals held USING gone WHERE held.scope = $1 AND held.handle = gone.handle",
    "WITH gone AS (SELECT key FROM headroom_records WHERE scope = $1 ORDER BY key FOR UPDATE)
     DELETE FROM headroom_records held USING gone WHERE held.scope = $1 AND held.key = gone.key",
];

/// Deletes at most `$1` expired rows; leaves those that are in use for the next sweep.
pub(super) const SWEEP: [&str; 2] = [
    "WITH gone AS (
         SELECT scope, handle FROM headroom_originals WHERE expires_at < now()
         ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
     )
     DELETE FROM headroom_originals held USING gone
     WHERE held.scope = gone.scope AND held.handle = gone.handle",
    "WITH gone AS (
         SELECT scope, key FROM headroom_records WHERE expires_at < now()
         ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
     )
     DELETE FROM headroom_records held USING gone WHERE held.scope = gone.scope AND held.key = gone.key",
];

pub(super) const SWEEP_WHOLE: [&str; 2] = [
    "DELETE FROM headroom_originals WHERE expires_at < now()",
    "DELETE FROM headroom_records WHERE expires_at < now()",
];

pub(super) const STORED: &str = "SELECT coalesce(sum(stored), 0)::bigint FROM headroom_originals";

/// Deletes at most `$1` originals, those first that were not seen for longest, until `$2` bytes are
/// gone. Returns the bytes.
pub(super) const EVICT: &str = "\
WITH oldest AS (
    SELECT scope, handle, stored FROM headroom_originals
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
), summed AS (
    SELECT scope, handle, sum(stored) OVER (ROWS UNBOUNDED PRECEDING) - stored AS before FROM oldest
), gone AS (
    DELETE FROM headroom_originals held USING summed
    WHERE held.scope = summed.scope AND held.handle = summed.handle AND summed.before < $2
    RETURNING held.stored
)
SELECT count(*), coalesce(sum(stored), 0)::bigint FROM gone";
