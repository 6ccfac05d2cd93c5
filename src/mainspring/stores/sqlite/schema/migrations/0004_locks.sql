-- Named locks. A row counts as long as its node is live. The sequence of AUTOINCREMENT remembers the
-- highest fence when the row is gone.
CREATE TABLE mainspring_locks (
  fence INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  node INTEGER NOT NULL
);
