"""The keys of ended jobs in datagrams: named where they fit, any job where one may be missing."""

import pytest

from mainspring.model.job import ANY_JOB, Notice
from mainspring.stores.wake.datagram import (
    ANY,
    FULL_QUEUE,
    MOST_KEYS,
    POKE,
    datagram_of,
    notice_in,
)
from mainspring.stores.wake.notifier import MOST_NOTICES, Notifier
from mainspring.stores.wake.socket_folder import SocketFolder
from mainspring.stores.wake.socket_listener import SocketListener
from mainspring.stores.wake.socket_notifier import SocketNotifier

LONG = 30


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    folder = tmp_path / "place"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def listener(folder):
    listener = SocketListener(SocketFolder(folder), "ended", changed=None)
    yield listener
    listener.close()


@pytest.fixture
def notifier(folder):
    notifier = SocketNotifier(SocketFolder(folder))
    yield notifier
    notifier.close()


def test_keys_arrive_as_they_were_sent(listener, notifier):
    notifier.notify("ended", [1, 2**62, 3])
    assert listener.wait(LONG) == Notice(frozenset({1, 2**62, 3}))


def test_what_came_before_the_wait_is_one_notice(listener, notifier):
    notifier.notify("ended", [1])
    notifier.notify("ended", [2])
    assert listener.wait(LONG) == Notice(frozenset({1, 2}))


def test_one_datagram_about_any_job_outweighs_the_keys(listener, notifier):
    notifier.notify("ended", [1])
    notifier.notify("ended")
    assert listener.wait(LONG) == ANY_JOB


def test_more_keys_than_fit_are_any_job(listener, notifier):
    notifier.notify("ended", range(1, MOST_KEYS + 2))
    assert listener.wait(LONG) == ANY_JOB


def test_a_full_socket_says_that_others_may_have_been_refused(listener, notifier):
    for key in range(1, 5000):
        notifier.notify("ended", [key])
    assert listener.wait(LONG) == ANY_JOB


def test_a_poke_is_no_notice_and_hides_none(listener, notifier):
    listener.poke()
    notifier.notify("ended", [1])
    assert listener.wait(LONG) == Notice(frozenset({1}))
    listener.poke()
    assert listener.wait(LONG) is None


def test_keys_of_a_process_of_an_older_version_are_any_job():
    assert notice_in([b"!"]) == notice_in([datagram_of([5]), b"!"]) == ANY_JOB


def test_a_datagram_is_never_empty_and_never_longer_than_a_socket_takes():
    sizes = [len(datagram_of(range(1, count + 1))) for count in (0, 1, MOST_KEYS, MOST_KEYS + 1)]
    assert sizes == [1, 8, 2000, 1]
    assert len(ANY) == len(POKE) == 1
    assert FULL_QUEUE == 10


def test_a_listener_in_this_process_that_does_not_wait_keeps_few_notices():
    notifier = Notifier()
    listener = notifier.listen()
    for key in range(1, 2 * MOST_NOTICES):
        notifier.notify([key])
    assert len(listener._notices) <= MOST_NOTICES
    assert listener.wait(0) == ANY_JOB
    assert listener.wait(0) is None
