-- Somebody else who writes into these tables may write what no statement of ours can add to, or read
-- as JSON, and one row would stop a claim or a search of many: such values are refused. Those that
-- are there already become the nearest that will do. NOT VALID: that need not be looked at again.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT name, unnest(string_to_array(columns, ' ')) AS column, low, high FROM (VALUES
      ('jobs', 'run_at created_at claimed_at expires_at', -1e18::bigint, 1e18::bigint),
      ('finished', 'run_at created_at began_at ended_at expires_at keep_until', -1e18, 1e18),
      ('attempts', 'began_at ended_at', -1e18, 1e18),
      ('nodes', 'joined_at renewed_at ended_at', -1e18, 1e18),
      ('nodes', 'lease', 0, 1e18),
      ('idempotency', 'until', -1e18, 1e18),
      ('log', 'at', -1e18, 1e18),
      ('schedules', 'anchor last_tick', -1e18, 1e18),
      ('jobs', 'attempts crashes', 0, 1e9),
      ('finished', 'attempts crashes', 0, 1e9),
      ('jobs', 'fence', 0, 1e15),
      ('finished', 'fence', 0, 1e15),
      ('attempts', 'fence', 0, 1e15),
      ('log', 'fence', 0, 1e15),
      ('jobs', 'nonce', 0, 4294967295),
      ('finished', 'nonce', 0, 4294967295),
      ('idempotency', 'nonce', 0, 4294967295)
    ) AS bounds (name, columns, low, high)
  LOOP
    EXECUTE format(
      'UPDATE %1$I SET %2$I = greatest(%3$s, least(%4$s, %2$I))'
      ' WHERE %2$I NOT BETWEEN %3$s AND %4$s', one.name, one.column, one.low, one.high
    );
    EXECUTE format(
      'ALTER TABLE %1$I ADD CHECK (%2$I BETWEEN %3$s AND %4$s) NOT VALID',
      one.name, one.column, one.low, one.high
    );
  END LOOP;
END $$;

-- What a search reads of a failure, as it reads it.
ALTER TABLE finished ADD CHECK (
  failure IS NULL OR (
    replace(failure, '\u0000', '\ufffd')::json ->> 'type' IS NOT NULL
    AND replace(failure, '\u0000', '\ufffd')::json ->> 'message' IS NOT NULL
  )
) NOT VALID;
ALTER TABLE attempts ADD CHECK (
  failure IS NULL OR (
    replace(failure, '\u0000', '\ufffd')::json ->> 'type' IS NOT NULL
    AND replace(failure, '\u0000', '\ufffd')::json ->> 'message' IS NOT NULL
  )
) NOT VALID;
