-- The jobs that bear a tag, for lists; the second index is for those that drop jobs.
CREATE TABLE mainspring_tags (
  tag TEXT NOT NULL,
  key INTEGER NOT NULL,
  PRIMARY KEY (tag, key)
) WITHOUT ROWID;

CREATE INDEX mainspring_tags_by_key ON mainspring_tags (key);
