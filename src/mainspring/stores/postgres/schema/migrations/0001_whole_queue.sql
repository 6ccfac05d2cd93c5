-- Times are microseconds since the epoch, UTC. Payloads, results and failures are JSON text: jsonb
-- takes no \u0000, which a traceback may hold.

CREATE SEQUENCE job_keys;

-- What may be claimed apart: the jobs of one task in one queue. Lanes are never deleted. Hashes,
-- since two long names are more than an index takes.
CREATE TABLE lanes (
  lane integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue text NOT NULL,
  task text NOT NULL
);
CREATE UNIQUE INDEX lanes_by_name ON lanes (md5(task), md5(queue));

-- A row stays when its node has gone (ended_at), since histories name it. locked: it holds an
-- advisory lock as long as it lives and is connected.
CREATE TABLE nodes (
  node bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  host text NOT NULL,
  pid bigint NOT NULL,
  joined_at bigint NOT NULL,
  renewed_at bigint NOT NULL,
  lease bigint NOT NULL,
  locked boolean NOT NULL DEFAULT false,
  ended_at bigint,
  serves text NOT NULL DEFAULT '{}',
  report text NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.1);

-- Every job that is not final. state: 0 ready, 1 scheduled (waits for run_at), 2 running.
-- attempts counts the charged ones; fence counts the claims. cancel_asked: while a running job is
-- to be cancelled. The table stays small, and each job leaves dead rows: it is vacuumed early.
CREATE TABLE jobs (
  key bigint PRIMARY KEY,
  nonce bigint NOT NULL,
  lane integer NOT NULL,
  state smallint NOT NULL,
  priority bigint NOT NULL,
  run_at bigint NOT NULL,
  created_at bigint NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  crashes integer NOT NULL DEFAULT 0,
  fence bigint NOT NULL DEFAULT 0,
  node bigint,
  claimed_at bigint,
  payload text NOT NULL,
  unique_key text,
  expires_at bigint,
  cancel_asked boolean NOT NULL DEFAULT false,
  CHECK ((state = 2) = (node IS NOT NULL AND claimed_at IS NOT NULL))
) WITH (
  fillfactor = 85, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.1
);
CREATE INDEX ready ON jobs (lane, priority, run_at, key) WHERE state = 0;
CREATE INDEX suspects ON jobs (lane, priority, run_at, key) WHERE state = 0 AND crashes >= 2;
CREATE INDEX scheduled ON jobs (lane, run_at) WHERE state = 1;
CREATE INDEX held ON jobs (node) WHERE state = 2;
CREATE UNIQUE INDEX bearers ON jobs (unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX expiring ON jobs (expires_at) WHERE expires_at IS NOT NULL AND state < 2;

-- Final jobs, with their last attempt. state: 3 completed, 4 failed, 5 cancelled, 6 completed and
-- kept until keep_until as its outcome said.
CREATE TABLE finished (
  key bigint PRIMARY KEY,
  nonce bigint NOT NULL,
  lane integer NOT NULL,
  state smallint NOT NULL,
  priority bigint NOT NULL,
  run_at bigint NOT NULL,
  created_at bigint NOT NULL,
  attempts integer NOT NULL,
  crashes integer NOT NULL,
  fence bigint NOT NULL,
  node bigint,
  began_at bigint,
  ended_at bigint NOT NULL,
  result text,
  failure text,
  payload text NOT NULL,
  unique_key text,
  expires_at bigint,
  keep_until bigint
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX finished_by_end ON finished (state, ended_at, lane);
CREATE INDEX exceptions ON finished (key) WHERE state <> 3;
CREATE INDEX kept ON finished (keep_until) WHERE keep_until IS NOT NULL;

-- Attempts that were not the last. outcome: retry, snoozed, released or crashed.
CREATE TABLE attempts (
  key bigint NOT NULL,
  fence bigint NOT NULL,
  node bigint NOT NULL,
  began_at bigint NOT NULL,
  ended_at bigint NOT NULL,
  outcome text NOT NULL,
  failure text,
  PRIMARY KEY (key, fence)
);

-- The job that an idempotency key stands for until then, whatever has become of it.
CREATE TABLE idempotency (
  idempotency_key text PRIMARY KEY,
  key bigint NOT NULL,
  nonce bigint NOT NULL,
  until bigint NOT NULL
);
CREATE INDEX idempotency_by_end ON idempotency (until);

CREATE TABLE paused (queue text PRIMARY KEY);

-- What bodies reported last, apart from the jobs so that their rows stay narrow.
CREATE TABLE progress (key bigint PRIMARY KEY, fraction float8, message text);

CREATE TABLE log (
  key bigint NOT NULL,
  number bigint NOT NULL,
  fence bigint NOT NULL,
  at bigint NOT NULL,
  line text NOT NULL,
  PRIMARY KEY (key, number)
);

CREATE TABLE schedules (
  name text PRIMARY KEY,
  rule text NOT NULL,
  task text NOT NULL,
  queue text NOT NULL,
  payload text NOT NULL,
  priority bigint NOT NULL,
  catch_up text NOT NULL,
  unique_key text,
  expires float8,
  anchor bigint NOT NULL,
  last_tick bigint NOT NULL,
  paused boolean NOT NULL DEFAULT false
);

CREATE TABLE schema_version (version integer NOT NULL);
INSERT INTO schema_version VALUES (0);
