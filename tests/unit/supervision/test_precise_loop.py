"""The loop of our own threads: what it is, and when a sleep on it ends."""

import asyncio
import socket
import sys
import time

import pytest

from mainspring.supervision.loops.precise_loop import moment_after, new_loop, turn_of


@pytest.fixture
def loop():
    made = new_loop()
    yield made
    made.close()


def test_a_short_sleep_ends_when_it_should():
    assert moment_after(100.0, 0.0105) == 100.0105


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.7, 1.0, 3600.0])
def test_a_long_sleep_ends_a_little_later_with_others(seconds):
    grain = 0.02 if seconds >= 0.9 else 0.005 if seconds >= 0.5 else 0.001
    ends = {moment_after(100.0 + step * grain / 10, seconds) for step in range(1, 8)}
    assert len(ends) <= 2
    assert all(seconds <= end - 100.0 <= seconds + 2 * grain for end in ends)


def test_sleeps_and_sockets_wake_it(loop):
    async def live():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003  the standard library's signature
        with ours, theirs:
            asyncio.get_running_loop().call_later(0.01, theirs.send, b"!")
            got = await asyncio.wait_for(loop.sock_recv(ours, 1), 10)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.sock_recv(ours, 1), 0.01)
        return got

    assert loop.run_until_complete(live()) == b"!"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is asyncio's own")
def test_it_tells_for_how_long_it_has_been_at_work(loop):
    async def live():
        began = time.monotonic()
        await asyncio.sleep(0.02)
        time.sleep(0.01)  # noqa: ASYNC251  it is the turn's length that is asked for
        return turn_of(loop), time.monotonic() - began

    turn, both = loop.run_until_complete(live())
    assert 0.01 <= turn < both
    assert turn_of(None) is None


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="policies are deprecated there")
def test_a_program_that_uses_another_kind_of_loop_gets_it():
    class Loop(asyncio.SelectorEventLoop):
        pass

    class Policy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = Loop

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(Policy())
    try:
        made = new_loop()
    finally:
        asyncio.set_event_loop_policy(before)
    made.close()
    assert type(made) is Loop
