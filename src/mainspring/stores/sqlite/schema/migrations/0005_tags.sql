-- The jobs that bear a tag, for lists; the second index is for those that drop jobs.
CREATE TABLE tags (
  tag TEXT NOT NULL,
  key INTEGER NOT NULL,
  PRIMARY KEY (tag, key)
) WITHOUT ROWID;

CREATE INDEX tags_by_key ON tags (key);
