"""The parts of a store over an SQL database that are not SQL: front, lanes, rows as values."""
