"""The database file and what lies beside it: its log, its locks, its troubles."""
