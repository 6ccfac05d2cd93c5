-- Dated texts: statistics of minutes and hours, the audit log. They come and go with their time.
CREATE TABLE chronicle (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  at bigint NOT NULL CHECK (at BETWEEN -1e18 AND 1e18),
  text text NOT NULL
);

CREATE INDEX chronicle_by_time ON chronicle (kind, at, key);
