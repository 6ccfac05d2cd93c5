"""What a pool remembers of a task, and for how long."""

from __future__ import annotations

import asyncio
import gc
import math
import re
import traceback
import weakref
from datetime import UTC, datetime, timedelta

import pytest

from mainspring import AsyncTaskWorker, TaskStatus
from mainspring.errors import DuplicateTaskError
from mainspring.pool import record, records


async def noop():
    return None


async def fail():
    raise ValueError("no good")


async def test_a_record_tells_the_whole_life_of_a_task(make_gate):
    async with AsyncTaskWorker() as pool:
        before = datetime.now(UTC)
        gate = make_gate()
        task_id = await pool.add_task(gate, metadata={"of": "mine"})
        info = pool.get_task_info(task_id)
        assert (info.status, info.started_at, info.completed_at) == ("pending", None, None)
        await gate.entered.wait()
        assert info.status == TaskStatus.RUNNING
        gate.opened.set()
        await pool.wait_for_task(task_id)
        assert (info.id, info.status, info.result) == (task_id, TaskStatus.COMPLETED, "through")
        assert (info.error, info.exception, info.from_cache) == (None, None, False)
        assert info.metadata == {"of": "mine"}
        moments = [before, info.created_at, info.started_at, info.completed_at]
        assert moments == sorted(moments)
        assert {moment.tzinfo for moment in moments} == {UTC}


def test_a_status_prints_as_its_value():
    assert f"{TaskStatus.COMPLETED} {TaskStatus('failed')}" == "completed failed"


async def test_a_view_can_be_read_and_not_written():
    async with AsyncTaskWorker() as pool:
        info = pool.get_task_info(await pool.add_task(noop, metadata={"a": 1}))
        with pytest.raises(AttributeError):
            info.status = TaskStatus.FAILED
        info.metadata["a"] = 2
        assert info.metadata == {"a": 1}


async def test_a_failure_keeps_the_sentence_and_the_exception_with_its_traceback():
    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(fail)
        await pool.join()
        info = handle.info
        assert (info.status, info.error, info.result) == ("failed", "no good", None)
        frames = traceback.extract_tb(info.exception.__traceback__)
        # None of them is ours.
        assert [frame.name for frame in frames] == ["fail"]
        with pytest.raises(ValueError, match="no good"):
            await handle


async def test_a_failure_that_nobody_waits_for_is_no_complaint_of_asyncio(caplog, until):
    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(fail)
        future = handle.result()
        await until(future.done)
        del future
        gc.collect()
    assert "never retrieved" not in caplog.text


async def test_metadata_are_as_they_were_when_the_task_was_added():
    async with AsyncTaskWorker() as pool:
        given = {"of": "mine"}
        handle = await pool.submit(fail, metadata=given)
        given["of"] = "another"
        handle.info.metadata["of"] = "a third"
        assert handle.info.metadata == {"of": "mine"}


async def test_tasks_are_listed_newest_first_by_status_age_and_number():
    async with AsyncTaskWorker() as pool:
        ids = [await pool.add_task(noop) for _ in range(5)]
        failed = await pool.add_task(fail)
        await pool.join()
        assert [info.id for info in pool.get_all_tasks()] == [failed, *reversed(ids)]
        assert [info.id for info in pool.get_all_tasks(status=TaskStatus.FAILED)] == [failed]
        assert len(pool.get_all_tasks(status="completed", limit=2)) == 2
        assert pool.get_all_tasks(limit=0) == []
        assert pool.get_all_tasks(older_than=timedelta(hours=1)) == []
        assert len(pool.get_all_tasks(older_than=timedelta(0))) == 6
        with pytest.raises(ValueError, match="lost"):
            pool.get_all_tasks(status="lost")
        with pytest.raises(ValueError, match="limit"):
            pool.get_all_tasks(limit=-1)


async def test_an_unknown_id_is_none_to_look_at_and_a_key_error_to_wait_for():
    async with AsyncTaskWorker() as pool:
        assert pool.get_task_info("nobody") is None
        with pytest.raises(KeyError, match="nobody"):
            pool.get_task_future("nobody")
        with pytest.raises(KeyError):
            await pool.wait_for_tasks(["nobody"])
        assert not await pool.cancel_task("nobody")


async def test_ids_are_unique_uuids():
    async with AsyncTaskWorker() as pool:
        ids = {await pool.add_task(noop) for _ in range(1000)}
    assert len(ids) == 1000
    shape = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(shape.fullmatch(one) for one in ids)


async def test_an_id_in_use_is_refused_and_a_finished_one_can_be_replaced(make_gate):
    async with AsyncTaskWorker() as pool:
        gate = make_gate()
        await pool.add_task(gate, task_id="a")
        with pytest.raises(DuplicateTaskError):
            await pool.add_task(noop, task_id="a")
        with pytest.raises(DuplicateTaskError):
            await pool.add_task(noop, task_id="a", replace=True)
        gate.opened.set()
        await pool.join()
        other = await pool.add_task(noop)
        with pytest.raises(DuplicateTaskError, match="replace"):
            await pool.add_task(noop, task_id="a")
        await pool.add_task(noop, task_id="a", replace=True)
        await pool.join()
        assert [info.id for info in pool.get_all_tasks()] == ["a", other]
        assert pool.get_task_info("a").result is None


async def test_one_of_many_who_wait_for_a_place_with_one_id_gets_it(make_gate):
    async with AsyncTaskWorker(max_workers=1, max_queue_size=1) as pool:
        gate = make_gate()
        await pool.add_task(gate)
        await gate.entered.wait()
        await pool.add_task(noop)
        adding = [asyncio.create_task(pool.add_task(noop, task_id="x")) for _ in range(3)]
        await asyncio.sleep(0)
        gate.opened.set()
        answers = await asyncio.gather(*adding, return_exceptions=True)
        assert sorted(str(type(one).__name__) for one in answers) == [
            "DuplicateTaskError",
            "DuplicateTaskError",
            "str",
        ]


async def test_finished_records_are_dropped_by_count_and_no_others(make_gate):
    async with AsyncTaskWorker(max_workers=2, max_finished=3) as pool:
        gate = make_gate()
        running = await pool.add_task(gate)
        ids = [await pool.add_task(noop) for _ in range(10)]
        await pool.wait_for_task(ids[-1])
        assert [info.id for info in pool.get_all_tasks()] == [*reversed(ids[-3:]), running]
        gate.opened.set()


async def test_finished_records_are_dropped_by_age_and_no_others(make_gate, until):
    async with AsyncTaskWorker(retention=0.05) as pool:
        gate = make_gate()
        running = await pool.add_task(gate)
        handle = await pool.submit(noop)
        await handle
        await until(lambda: pool.get_task_info(handle.id) is None)
        assert [info.id for info in pool.get_all_tasks()] == [running]
        assert handle.status == "completed"
        gate.opened.set()


async def test_a_clock_that_is_set_forward_drops_no_record(monkeypatch):
    async with AsyncTaskWorker(retention=3600) as pool:
        task_id = await pool.add_task(noop)
        await pool.join()
        for module in (record, records):
            moved = record.wall_clock() + 7200
            monkeypatch.setattr(module, "wall_clock", lambda moved=moved: moved, raising=False)
        await pool.wait_for_task(await pool.add_task(noop))
        assert pool.get_task_info(task_id) is not None


async def test_a_replaced_task_takes_its_successor_not_along_when_it_is_forgotten(make_gate):
    async with AsyncTaskWorker(max_finished=2) as pool:
        await pool.wait_for_task(await pool.add_task(noop, task_id="a"))
        gate = make_gate()
        await pool.add_task(gate, task_id="a", replace=True)
        for _ in range(5):
            await pool.wait_for_task(await pool.add_task(noop))
        assert pool.get_task_info("a") is not None
        gate.opened.set()


async def test_progress_shows_while_running_and_is_clamped(until):
    steps = asyncio.Queue()

    async def body(progress_callback):
        while (value := await steps.get()) is not None:
            progress_callback(value)

    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(body)
        for value, shown in [
            (0.25, 0.25),
            (-3, 0.0),
            (7, 1.0),
            (0.5, 0.5),
            (math.inf, 1.0),
            (-(10**400), 0.0),
            (10**400, 1.0),
            (0.5, 0.5),
        ]:
            steps.put_nowait(value)
            await until(lambda shown=shown: handle.progress == shown)
        assert handle.info.progress == 0.5
        steps.put_nowait(None)
        await handle
        assert handle.progress == 1.0


async def test_progress_that_is_not_a_number_is_refused():
    async def body(progress_callback):
        progress_callback(math.nan)

    async with AsyncTaskWorker() as pool:
        with pytest.raises(ValueError, match="progress"):
            await (await pool.submit(body))


async def test_progress_is_kept_on_failure_and_ignored_after_the_end():
    callbacks = []

    async def body(progress_callback):
        callbacks.append(progress_callback)
        progress_callback(0.3)
        raise LookupError

    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(body)
        with pytest.raises(LookupError):
            await handle
        callbacks[0](0.9)
        assert handle.progress == 0.3


async def test_progress_can_be_told_from_a_thread():
    def body(progress_callback):
        progress_callback(0.7)
        raise LookupError

    async with AsyncTaskWorker() as pool:
        handle = await pool.submit(body)
        with pytest.raises(LookupError):
            await handle
        assert handle.progress == 0.7


async def test_a_finished_task_lets_go_of_its_arguments(make_gate):
    class Big:
        pass

    async def body(big):
        return None

    async with AsyncTaskWorker() as pool:
        big = Big()
        trace = weakref.ref(big)
        handle = await pool.submit(body, big)
        del big
        await handle
        assert trace() is None


async def test_a_subscriber_is_told_of_each_attempt_that_ends():
    told = []
    pool = AsyncTaskWorker()
    pool.subscribe(told.append)
    async with pool:
        await pool.add_task(noop, task_id="good")
        await pool.add_task(fail, task_id="bad")
        await pool.join()
    ends = [(claim.id, outcome.kind) for event in told for claim, outcome in event.ended]
    assert ends == [("good", "completed"), ("bad", "failed")]
    assert "no good" in told[1].ended[0][1].failure.message


async def test_a_failure_is_in_the_log(caplog):
    async with AsyncTaskWorker() as pool:
        await pool.add_task(fail, task_id="bad")
        await pool.join()
    assert "no good" in caplog.text
