"""Two places at one socket: the first is woken alone, the second while nobody is in the first."""

import threading
import time

import pytest

from mainspring.stores.wake import idle_wait
from mainspring.stores.wake.socket_folder import SocketFolder
from mainspring.stores.wake.socket_listener import SocketListener
from mainspring.stores.wake.socket_notifier import SocketNotifier

pytestmark = pytest.mark.skipif(
    not idle_wait.POSSIBLE, reason="this system has no exclusive waiting"
)

LONG = 30


class Watcher:
    """A thread that waits, once, and what it heard."""

    def __init__(self, wait):
        self.heard = []
        self._thread = threading.Thread(target=lambda: self.heard.append(wait()), daemon=True)
        self._thread.start()

    @property
    def asleep(self):
        return self._thread.is_alive()

    def join(self):
        self._thread.join(10)
        assert not self.asleep
        return self.heard[0]


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "place"
    folder.mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    return folder


@pytest.fixture
def listener(place):
    listener = SocketListener(SocketFolder(place), "ready", changed=lambda: False)
    yield listener
    listener.close()


@pytest.fixture
def notifier(place):
    notifier = SocketNotifier(SocketFolder(place))
    yield notifier
    notifier.close()


def settle():
    """Let threads that were started fall asleep; what follows holds even if they have not."""
    time.sleep(0.05)


def test_a_ring_wakes_who_sleeps_in_the_first_place_and_nobody_else(listener, notifier):
    first = listener.for_idle()
    second = Watcher(lambda: listener.wait(LONG))
    for _ in range(20):
        idle = Watcher(first.wait)
        settle()
        notifier.notify("ready")
        assert idle.join() is not None
        assert second.asleep
    listener.poke()
    assert second.join() is None


def test_while_nobody_sleeps_in_the_first_place_the_second_is_woken(listener, notifier):
    listener.for_idle()
    for _ in range(20):
        second = Watcher(lambda: listener.wait(LONG))
        notifier.notify("ready")
        assert second.join() is not None


def test_a_poke_is_for_one_place(listener):
    first = listener.for_idle()
    idle, second = Watcher(first.wait), Watcher(lambda: listener.wait(LONG))
    settle()
    listener.poke()
    assert second.join() is None
    assert idle.asleep
    first.poke()
    assert idle.join() is None


def test_a_poke_before_the_wait_ends_it(listener):
    first = listener.for_idle()
    first.poke()
    assert first.wait() is None


def test_a_ring_before_the_wait_is_heard(listener, notifier):
    first = listener.for_idle()
    notifier.notify("ready")
    assert first.wait() is not None


def test_without_a_socket_there_is_no_first_place(tmp_path):
    unfit = tmp_path / "file"
    unfit.write_text("not a folder")
    listener = SocketListener(SocketFolder(unfit / "place"), "ready", changed=lambda: False)
    assert listener.for_idle() is None
    listener.close()
