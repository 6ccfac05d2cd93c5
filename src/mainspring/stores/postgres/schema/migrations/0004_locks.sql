-- Named locks. A row counts as long as its node is live; names are short enough for an index.
CREATE TABLE locks (
  name text PRIMARY KEY,
  node bigint NOT NULL,
  fence bigint NOT NULL
);

-- One row, the last fence: who grants a lock holds this row until it commits, so that fences grow in
-- the order of the grants.
CREATE TABLE lock_fences (fence bigint NOT NULL);
INSERT INTO lock_fences VALUES (0);
