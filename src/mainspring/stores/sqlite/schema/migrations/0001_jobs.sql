-- Times are microseconds since the epoch, UTC. Payloads, results and failures are JSON text.

-- What may be claimed apart: the jobs of one task in one queue. Lanes are never deleted.
CREATE TABLE mainspring_lanes (
  lane INTEGER PRIMARY KEY,
  queue TEXT NOT NULL,
  task TEXT NOT NULL,
  UNIQUE (queue, task)
);

-- A row stays when its node has gone (ended_at), since histories name it.
CREATE TABLE mainspring_nodes (
  node INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  joined_at INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  ended_at INTEGER
);

-- Every job that is not final. state: 0 ready, 1 scheduled (waits for run_at), 2 running.
-- attempts counts the charged ones; fence counts the claims. No AUTOINCREMENT: it would write one
-- page more with each job; a new key is above those of jobs and finished, and the nonce tells a
-- job from an earlier one of its key that has been purged.
CREATE TABLE mainspring_jobs (
  key INTEGER PRIMARY KEY,
  nonce INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  state INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  fence INTEGER NOT NULL DEFAULT 0,
  node INTEGER,
  claimed_at INTEGER,
  payload TEXT NOT NULL,
  CHECK ((state = 2) = (node IS NOT NULL AND claimed_at IS NOT NULL))
);

-- Who is next in a lane; also finds what runs there, since a node has no list of what it holds.
CREATE INDEX mainspring_line ON mainspring_jobs (lane, state, priority, run_at);

CREATE INDEX mainspring_scheduled ON mainspring_jobs (lane, run_at) WHERE state = 1;

-- Final jobs, with their last attempt. state: 3 completed, 4 failed, 5 cancelled.
CREATE TABLE mainspring_finished (
  key INTEGER PRIMARY KEY,
  nonce INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  state INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  run_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  node INTEGER,
  began_at INTEGER,
  ended_at INTEGER NOT NULL,
  result TEXT,
  failure TEXT,
  payload TEXT NOT NULL
);

CREATE INDEX mainspring_finished_by_end ON mainspring_finished (lane, state, ended_at);

-- Attempts that were not the last. outcome: retry, snoozed, released or crashed.
CREATE TABLE mainspring_attempts (
  key INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  node INTEGER NOT NULL,
  began_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  failure TEXT,
  PRIMARY KEY (key, fence)
) WITHOUT ROWID;
