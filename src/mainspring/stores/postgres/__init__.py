"""Jobs in PostgreSQL, shared by the processes of any number of hosts."""

from mainspring.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
