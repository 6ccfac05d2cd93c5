-- The jobs that bear a tag, for lists; the second index is for those that drop jobs.
CREATE TABLE tags (
  tag text NOT NULL,
  key bigint NOT NULL,
  PRIMARY KEY (tag, key)
);
CREATE INDEX tags_by_key ON tags (key);
