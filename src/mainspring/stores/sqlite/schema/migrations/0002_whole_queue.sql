-- Unique keys, expiry, cancelling, keeping, pauses, notes and schedules.

-- cancel_asked: 1 while a running job is to be cancelled. What waits is cancelled at once.
ALTER TABLE mainspring_jobs ADD COLUMN unique_key TEXT;
ALTER TABLE mainspring_jobs ADD COLUMN expires_at INTEGER;
ALTER TABLE mainspring_jobs ADD COLUMN cancel_asked INTEGER NOT NULL DEFAULT 0;

-- Few jobs stand in these, and no column of theirs changes by a claim: an ordinary job costs them
-- nothing.
CREATE UNIQUE INDEX mainspring_bearers ON mainspring_jobs (unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX mainspring_expiring ON mainspring_jobs (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX mainspring_cancelling ON mainspring_jobs (cancel_asked) WHERE cancel_asked = 1;

-- state 6: completed, and kept until keep_until as its outcome said. A state of its own, so that
-- whoever drops old jobs does not step over those that are kept for longer.
ALTER TABLE mainspring_finished ADD COLUMN unique_key TEXT;
ALTER TABLE mainspring_finished ADD COLUMN expires_at INTEGER;
ALTER TABLE mainspring_finished ADD COLUMN keep_until INTEGER;

-- Failed and cancelled ones by key, for lists, and kept ones by their time. One index for both:
-- each costs every completed job a look at its condition.
CREATE INDEX mainspring_exceptions ON mainspring_finished (state, keep_until) WHERE state <> 3;

-- JSON texts of a node's own: what it runs, and how it is.
ALTER TABLE mainspring_nodes ADD COLUMN serves TEXT NOT NULL DEFAULT '{}';
ALTER TABLE mainspring_nodes ADD COLUMN report TEXT NOT NULL DEFAULT '{}';

-- The job that an idempotency key stands for until then, whatever has become of it.
CREATE TABLE mainspring_idempotency (
  idempotency_key TEXT PRIMARY KEY,
  key INTEGER NOT NULL,
  nonce INTEGER NOT NULL,
  until INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX mainspring_idempotency_by_end ON mainspring_idempotency (until);

CREATE TABLE mainspring_paused (queue TEXT PRIMARY KEY) WITHOUT ROWID;

-- What bodies told last, apart from the jobs so that their rows stay narrow.
CREATE TABLE mainspring_progress (
  key INTEGER PRIMARY KEY,
  fraction REAL,
  message TEXT
);

CREATE TABLE mainspring_log (
  key INTEGER NOT NULL,
  number INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  at INTEGER NOT NULL,
  line TEXT NOT NULL,
  PRIMARY KEY (key, number)
) WITHOUT ROWID;

CREATE TABLE mainspring_schedules (
  name TEXT PRIMARY KEY,
  rule TEXT NOT NULL,
  task TEXT NOT NULL,
  queue TEXT NOT NULL,
  payload TEXT NOT NULL,
  priority INTEGER NOT NULL,
  catch_up TEXT NOT NULL,
  unique_key TEXT,
  expires REAL,
  anchor INTEGER NOT NULL,
  last_tick INTEGER NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- One row: the highest key of a job that was dropped. A key that were given again, with fences from
-- 1 again, would let a late outcome or note of the old job meet the new one.
CREATE TABLE mainspring_spent (key INTEGER PRIMARY KEY);
INSERT INTO mainspring_spent VALUES (0);
