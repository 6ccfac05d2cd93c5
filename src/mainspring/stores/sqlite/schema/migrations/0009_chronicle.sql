-- Dated texts: statistics of minutes and hours, the audit log. They come and go with their time.
CREATE TABLE mainspring_chronicle (
  key INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  text TEXT NOT NULL
);

CREATE INDEX mainspring_chronicle_by_time ON mainspring_chronicle (kind, at);
