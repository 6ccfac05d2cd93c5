"""One plain job in one round trip: its row, the commit, and behind that the notification.

A statement with parameters is a round trip of its own, and a pipeline costs the driver more than it
saves. So they go as one text, whose statements the server has prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from psycopg.pq import Escaping

from mainspring.stores.postgres.connections.direct import TOPICS
from mainspring.stores.postgres.connections.statements import micros, numbered
from mainspring.stores.wake.topics import READY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from mainspring.stores.postgres.address import PostgresAddress
    from mainspring.stores.postgres.connections.statements import ServerMoment, Statements
    from mainspring.stores.postgres.enqueue import JobBatch
    from mainspring.stores.sql.lanes import Name

INSERT = """
PREPARE mainspring_job (
  bigint, bigint, bigint, int, smallint, bigint, bigint, text
) AS INSERT INTO jobs (key, nonce, lane, state, priority, run_at, created_at, payload)
SELECT $2, $3, $4, $5, $6, moment + $7, moment, $8 FROM (SELECT {now} AS moment) AS server
"""

# As NOTIFY in session.py.
NOTIFY = """
PREPARE mainspring_ready AS SELECT pg_notify('{channel}', '')
WHERE NOT pg_try_advisory_xact_lock({locks}, {topic})
"""

ENQUEUE = b"""BEGIN; EXECUTE mainspring_job (%b, %d, %d, %d, %d, %d, %d, %b); COMMIT;
EXECUTE mainspring_ready"""


class SingleJobs:
    """Keeps plain jobs one by one, on connections whose session is ours alone."""

    def __init__(self, address: PostgresAddress) -> None:
        self._address = address
        self._ready: WeakSet[psycopg.Connection[tuple[object, ...]]] = WeakSet()
        """The connections that know the statements."""

    def keep(
        self,
        connection: Statements,
        batch: JobBatch,
        lanes: Mapping[Name, int],
        moment: ServerMoment,
    ) -> None:
        """Commit the only job of a batch, and wake who waits."""
        driver = connection.driver
        if driver not in self._ready:
            self._prepare(driver)
        (job,) = batch.jobs
        payload = job.payload.decode().encode(driver.info.encoding)
        text = ENQUEUE % (
            b"NULL" if moment.micros is None else b"%d" % moment.micros,
            batch.keys[0],
            batch.nonces[0],
            lanes[job.queue, job.task],
            job.delay > 0,
            job.priority,
            micros(job.delay),
            bytes(Escaping(driver.pgconn).escape_literal(payload)),
        )
        connection.execute_all(text)

    def _prepare(self, driver: psycopg.Connection[tuple[object, ...]]) -> None:
        schema = self._address.schema
        notify = NOTIFY.format(
            channel=self._address.channel(READY),
            locks=self._address.lock_class,
            topic=TOPICS[READY],
        )
        insert = numbered(INSERT, schema).text
        driver.execute(insert + b";" + notify.encode(), prepare=False)
        self._ready.add(driver)
