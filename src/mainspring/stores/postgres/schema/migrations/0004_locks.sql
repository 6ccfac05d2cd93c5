-- Named locks. A row counts as long as its node is live; names are short enough for an index.
CREATE TABLE locks (
  name text PRIMARY KEY,
  node bigint NOT NULL,
  fence bigint NOT NULL
);

CREATE SEQUENCE lock_fences;
