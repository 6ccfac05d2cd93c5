import operator
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pool_bodies as bodies
import pytest

from mainspring import errors

MEBIBYTE = 1 << 20


def test_a_call_returns_what_the_function_returned_in_another_process(pool):
    assert pool.call(operator.add, 2, 3) == 5
    assert pool.call(os.getpid) != os.getpid()


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("k"),
        OSError(2, "gone", "f"),
        ExceptionGroup("g", [ValueError(1)]),
    ],
)
def test_an_error_arrives_as_it_was_raised_with_the_childs_traceback(pool, error):
    with pytest.raises(type(error)) as caught:
        pool.call(bodies.raise_this, error)
    assert str(caught.value) == str(error)
    assert "in raise_this" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), MemoryError("enough"), GeneratorExit()]
)
def test_an_exit_in_the_body_is_an_error_and_not_a_death(pool, error):
    before = pool.call(os.getpid)
    with pytest.raises(type(error)):
        pool.call(bodies.raise_this, error)
    assert pool.call(os.getpid) == before


def test_sys_exit_in_the_body_is_an_error_and_not_a_death(pool):
    with pytest.raises(SystemExit) as caught:
        pool.call(bodies.exit_politely, 4)
    assert caught.value.code == 4


def test_an_error_whose_init_takes_other_arguments_arrives_whole(pool):
    with pytest.raises(bodies.Picky, match="1 and 2") as caught:
        pool.call(bodies.raise_picky)
    assert caught.value.second == 2


def test_an_error_that_unpickles_to_another_sentence_keeps_its_own(pool):
    with pytest.raises(bodies.Doubling) as caught:
        pool.call(bodies.raise_doubling)
    assert str(caught.value) == "not found: x"


def test_an_error_that_takes_no_note_arrives_as_it_was_raised(pool):
    with pytest.raises(bodies.Sealed) as caught:
        pool.call(bodies.raise_sealed)
    assert caught.value.code == 7


def test_an_error_of_ours_arrives_whole(pool):
    with pytest.raises(errors.ChildDied, match="gone") as caught:
        pool.call(bodies.raise_this_kind)
    assert caught.value.code == 9


def test_an_error_that_cant_be_pickled_is_told_by_type_and_message(pool):
    with pytest.raises(errors.ChildRaised, match=r"Hidden.*you can't see me") as caught:
        pool.call(bodies.raise_local)
    assert "in raise_local" in caught.value.__notes__[0]


def test_an_error_without_words_still_arrives(pool):
    with pytest.raises(bodies.Unspeakable):
        pool.call(bodies.raise_this, bodies.Unspeakable())


def test_the_cause_of_an_error_is_told(pool):
    with pytest.raises(RuntimeError, match="outer") as caught:
        pool.call(bodies.raise_caused)
    assert "KeyError: 'missing'" in caught.value.__notes__[0]


def test_a_result_that_cant_be_pickled_names_function_and_type(pool):
    with pytest.raises(errors.UnstorableResult, match=r"return_a_lock.*lock can't be pickled"):
        pool.call(bodies.return_a_lock)


def test_an_argument_that_cant_be_pickled_is_named(pool):
    with pytest.raises(errors.InvalidArguments, match="argument 'second' of add"):
        pool.call(bodies.add, 1, threading.Lock())
    with pytest.raises(errors.InvalidArguments, match="argument 'second' of add"):
        pool.submit(bodies.add, 1, second=threading.Lock())
    with pytest.raises(errors.InvalidArguments, match="argument 2 of getpid"):
        pool.submit(os.getpid, 1, threading.Lock())


def test_a_function_that_cant_be_found_again_is_named(pool):
    with pytest.raises(errors.TaskNotImportable, match="<lambda>"):
        pool.submit(lambda: 1)


def test_an_argument_the_child_cant_unpickle_costs_only_its_own_call(pool, monkeypatch):
    monkeypatch.setattr(bodies, "only_here", type("only_here", (), {}), raising=False)
    bodies.only_here.__module__ = "pool_bodies"
    with pytest.raises(AttributeError, match="only_here"):
        pool.call(bodies.echo, bodies.only_here())
    assert pool.call(bodies.add, 1, 1) == 2


def test_ten_mebibytes_go_both_ways(make_pool):
    pool = make_pool(handler=bodies.echo)
    payload = os.urandom(10 * MEBIBYTE)
    assert pool.call(bodies.echo, payload) == payload
    assert pool.request(payload) == payload
    assert pool.request(payload, timeout=30) == payload


@pytest.mark.parametrize("size", [0, 1, 65_527, 65_528, 65_536, 65_537, MEBIBYTE])
def test_a_request_of_any_size_comes_back_whole(make_pool, size):
    payload = os.urandom(size)
    assert make_pool(handler=bodies.echo).request(payload) == payload


def test_a_request_raises_what_the_handler_raised(make_pool):
    with pytest.raises(KeyError, match="lost"):
        make_pool(handler=bodies.raise_in_handler).request(b"lost")


def test_a_request_needs_a_handler(pool):
    with pytest.raises(errors.InvalidOption, match="handler"):
        pool.request(b"x")


def test_notes_arrive_before_the_reply(make_pool):
    notes = []
    reply = make_pool(handler=bodies.shout).request(b"hey", on_note=notes.append)
    assert (reply, notes) == (b"HEY", [b"first", b"x" * 200_000])


def test_a_child_warms_up_once_a_key_and_before_the_call_begins(make_pool):
    seen = []
    pool = make_pool(1, spare=0, handler=bodies.shout)

    def ask(key):
        return pool.request(
            b"hey",
            on_note=lambda note: seen.append(note[:5]),
            warm_up=(key, b"warm"),
            on_begin=lambda: seen.append("begins"),
        )

    assert [ask("a"), ask("a"), ask("b")] == [b"HEY"] * 3
    told = [b"first", b"xxxxx"]
    assert seen == [*told, "begins", *told, "begins", *told, *told, "begins", *told]


def test_a_warm_up_takes_no_time_of_the_call(make_pool):
    pool = make_pool(handler=bodies.sleep_when_cold)
    assert pool.request(b"hey", timeout=1, warm_up=("a", b"1.5")) == b"hey"


def test_a_warm_up_that_never_ends_is_killed(make_pool, monkeypatch):
    monkeypatch.setattr("mainspring.processes.child._WARM_UP_TIMEOUT", 0.2)
    pool = make_pool(handler=bodies.sleep_when_cold)
    with pytest.raises(errors.AttemptTimeout, match=r"0\.2 s"):
        pool.request(b"hey", timeout=0.1, warm_up=("a", b"60"))
    assert pool.request(b"hey") == b"hey"


def test_what_a_warm_up_raises_is_passed_over(make_pool):
    pool = make_pool(1, spare=0, handler=bodies.raise_in_handler)
    begins = []
    with pytest.raises(KeyError, match="call"):
        pool.request(b"call", warm_up=("a", b"warm"), on_begin=lambda: begins.append(1))
    assert begins == [1]


def test_notes_nobody_asked_for_are_dropped(make_pool):
    pool = make_pool(handler=bodies.shout)
    assert [pool.request(b"a"), pool.request(b"b")] == [b"A", b"B"]


def test_a_child_whose_notes_were_refused_is_replaced(make_pool):
    pool = make_pool(handler=bodies.shout)
    with pytest.raises(ZeroDivisionError):
        pool.request(b"a", on_note=lambda _: 1 // 0)
    assert pool.request(b"b") == b"B"


def test_twenty_callers_get_each_their_own_answer(make_pool):
    pool = make_pool(2, handler=bodies.echo)

    def ask(number):
        return [pool.request(b"%d/%d" % (number, turn)) for turn in range(50)]

    with ThreadPoolExecutor(20) as callers:
        for number, answers in enumerate(callers.map(ask, range(20))):
            assert answers == [b"%d/%d" % (number, turn) for turn in range(50)]


def test_no_more_calls_run_at_once_than_there_are_slots(make_pool, tmp_path, until):
    pool = make_pool(2, spare=2)
    futures = [
        pool.submit(bodies.mark_and_wait, str(tmp_path / str(n)), str(tmp_path / "go"))
        for n in range(4)
    ]
    until(lambda: pool.status().ready == 2 and pool.status().busy == 2)
    assert len(list(tmp_path.iterdir())) <= 2
    (tmp_path / "go").touch()
    assert len({future.result(10) for future in futures}) <= 4


def test_a_call_past_its_timeout_is_killed_and_named(pool):
    began = time.monotonic()
    with pytest.raises(
        errors.AttemptTimeout, match=r"'sleep' timed out after its timeout of 0.2 s"
    ):
        pool.call(time.sleep, 60, timeout=0.2)
    assert time.monotonic() - began < 5
    assert pool.call(operator.add, 1, 1, timeout=5) == 2


def test_a_call_that_holds_the_interpreter_is_killed_at_its_timeout(pool):
    with pytest.raises(errors.AttemptTimeout):
        pool.call(sum, range(10**12), timeout=0.2)


def test_a_timeout_error_of_the_body_is_the_bodys(pool):
    before = pool.call(os.getpid)
    with pytest.raises(TimeoutError, match="mine"):
        pool.call(bodies.raise_this, TimeoutError("mine"), timeout=5)
    assert pool.call(os.getpid) == before


def test_a_timeout_may_be_longer_than_a_socket_waits(pool, monkeypatch):
    assert pool.call(operator.add, 1, 1, timeout=1e8) == 2
    monkeypatch.setattr("mainspring.processes.child._LONGEST_WAIT", 0.05)
    assert pool.call(time.sleep, 0.3, timeout=20) is None
    with pytest.raises(errors.AttemptTimeout):
        pool.call(time.sleep, 60, timeout=0.2)


def test_a_timeout_must_be_positive(pool):
    with pytest.raises(errors.InvalidOption, match="timeout"):
        pool.call(os.getpid, timeout=0)


def test_submitted_calls_give_futures(make_pool):
    pool = make_pool(2)
    futures = [pool.submit(bodies.add, number, second=1) for number in range(50)]
    assert [future.result(10) for future in futures] == list(range(1, 51))
    with pytest.raises(SystemExit):
        pool.submit(bodies.exit_politely, 1).result(10)


def test_a_future_cancelled_in_line_never_runs(make_pool, tmp_path, until):
    pool = make_pool()
    running = pool.submit(bodies.wait_for, str(tmp_path / "go"))
    queued = pool.submit(bodies.append, str(tmp_path / "ran"), "x")
    until(running.running)
    assert queued.cancel()
    (tmp_path / "go").touch()
    running.result(10)
    pool.call(os.getpid)
    assert not (tmp_path / "ran").exists()


def test_kill_ends_the_call_of_that_key_and_no_other(make_pool, tmp_path, until):
    pool = make_pool(2)
    doomed = pool.submit(bodies.mark_and_wait, str(tmp_path / "a"), str(tmp_path / "go"))
    other = pool.submit(bodies.mark_and_wait, str(tmp_path / "b"), str(tmp_path / "go"))
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    assert pool.kill(doomed)
    with pytest.raises(errors.ChildDied, match="SIGKILL, on request"):
        doomed.result(5)
    (tmp_path / "go").touch()
    other.result(5)
    assert not pool.kill(doomed)


def test_interrupt_ends_every_running_call(make_pool, tmp_path, until):
    pool = make_pool(2)
    futures = [pool.submit(time.sleep, 60) for _ in range(2)]
    until(lambda: pool.status().busy == 2)
    assert pool.interrupt() == 2
    for future in futures:
        with pytest.raises(errors.ChildDied):
            future.result(5)


def test_kill_of_a_key_that_waits_or_is_unknown_does_nothing(pool, tmp_path, until):
    running = pool.submit(bodies.wait_for, str(tmp_path / "go"))
    until(lambda: pool.status().busy == 1)
    waiting = pool.submit(os.getpid)
    assert not pool.kill(waiting)
    assert not pool.kill("nobody")
    (tmp_path / "go").touch()
    assert running.result(10) == waiting.result(10)


def test_a_withdrawn_call_waits_no_more_and_one_that_runs_goes_on(pool, tmp_path, until):
    running = pool.submit(bodies.wait_for, str(tmp_path / "go"))
    until(lambda: pool.status().busy == 1)
    waiter = threading.Thread(target=withdrawn, args=(pool, caught := []))
    waiter.start()
    until(lambda: pool.withdraw("mine"))
    waiter.join(10)
    assert "withdrawn" in str(caught[0])
    assert not pool.withdraw("mine")
    assert not pool.withdraw(running)
    (tmp_path / "go").touch()
    running.result(10)
    assert pool.call(os.getpid)


def withdrawn(pool, caught):
    try:
        pool.call(os.getpid, key="mine")
    except errors.NotRunning as error:
        caught.append(error)


@pytest.fixture
def interruptible():
    """Whoever starts the tests in the background of a shell has interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_caller_costs_no_slot(make_pool, until):
    pool = make_pool()
    pool.call(os.getpid)
    main = threading.main_thread()
    for _ in range(5):
        alarm = threading.Timer(0.1, signal.pthread_kill, (main.ident, signal.SIGINT))
        alarm.start()
        with pytest.raises(KeyboardInterrupt):
            pool.call(time.sleep, 60)
        alarm.join()
    busy = pool.submit(time.sleep, 60)
    until(lambda: pool.status().busy == 1)
    threading.Timer(0.1, signal.pthread_kill, (main.ident, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        pool.call(os.getpid)
    assert pool.status().waiting == 0
    pool.kill(busy)
    assert pool.call(operator.add, 1, 1) == 2


def test_a_note_of_a_thread_left_behind_reaches_no_idle_line(make_pool, until):
    pool = make_pool(handler=bodies.tell_later)
    notes = []
    pool.request(b"", on_note=notes.append)
    time_of_the_note = time.monotonic() + 0.1
    until(lambda: time.monotonic() > time_of_the_note)
    assert pool.request(b"", on_note=notes.append) == b""
    assert notes == []


def test_what_a_body_prints_is_on_its_way_before_the_call_returns(make_pool, capfd):
    pool = make_pool()
    pool.call(print, "from the child")
    assert capfd.readouterr().out == "from the child\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", 0),
        ("spare", -1),
        ("grace", -1),
        ("max_tasks_per_child", 0),
        ("max_memory_per_child_bytes", 0),
    ],
)
def test_an_option_that_makes_no_sense_is_named(make_pool, option, value):
    with pytest.raises(errors.InvalidOption, match=option):
        make_pool(**{option: value})
