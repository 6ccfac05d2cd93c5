"""Boards: what they say after a death, and who holds their lock."""

from __future__ import annotations

import errno
import os
import signal
import struct
import sys

import pytest

from mainspring.engine.node.board import (
    FileBoard,
    begun_on,
    board_of,
    find_dead,
    node_name,
    remove_orphans,
)
from mainspring.private_files import NotPrivate


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "node"


@pytest.fixture
def board(path):
    board = FileBoard(path, 4)
    yield board
    board.close()


def test_a_live_node_is_not_dead(board, path):
    assert find_dead(path) is None


def test_a_missing_board_says_nothing_and_is_not_made(path):
    assert find_dead(path) is None
    assert begun_on(path) is None
    assert not path.exists()


def test_a_board_that_was_let_go_tells_what_had_begun(board, path):
    board.note(1, 17, 3)
    board.note(3, 99, 1)
    board.let_go()
    dead = find_dead(path)
    assert dead.begun() == {(17, 3), (99, 1)}
    dead.close()


def test_only_one_looks_at_a_dead_board_at_a_time(board, path):
    board.let_go()
    first = find_dead(path)
    assert find_dead(path) is None
    first.close()
    second = find_dead(path)
    second.remove()
    second.close()
    assert find_dead(path) is None


def test_a_slot_tells_of_its_last_claim_only(board, path):
    board.note(0, 1, 1)
    board.note(0, 2, 1)
    assert begun_on(path) == {(2, 1)}


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 40])
def test_a_board_that_was_cut_short_tells_of_the_whole_entries(path, size):
    path.parent.mkdir()
    entries = struct.pack("<qqqqqq", 5, 1, 6, 2, 7, 3)
    path.write_bytes(entries[:size])
    assert begun_on(path) == frozenset([(5, 1), (6, 2), (7, 3)][: size // 16])
    dead = find_dead(path)
    assert dead.begun() == begun_on(path)
    dead.close()


def test_an_entry_torn_by_a_kill_names_no_claim_that_exists(board, path):
    board.note(0, 5, 1)
    with path.open("r+b") as file:
        file.write(struct.pack("<q", 6))
    assert begun_on(path) == {(6, 1)}


def test_closing_twice_is_harmless_and_removes_the_file(board, path):
    board.close()
    board.close()
    assert not path.exists()


def test_notes_after_the_end_harm_nobody(board, path):
    board.close()
    board.note(0, 1, 1)
    assert not path.exists()


def test_a_board_of_that_name_is_never_taken_over(board, path):
    with pytest.raises(FileExistsError):
        FileBoard(path, 4)
    assert find_dead(path) is None


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_keep_the_lock(board, path):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"!")
        signal.pause()
        os._exit(0)
    try:
        os.read(reader, 1)
        assert find_dead(path) is None
        board.let_go()
        dead = find_dead(path)
        assert dead is not None
        dead.close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_the_end_of_a_forked_child_does_not_free_the_parents_lock(board, path):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert find_dead(path) is None


def test_a_program_that_is_started_does_not_keep_the_lock(board, path, eventually):
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-c", "import signal; signal.pause()"], os.environ
    )
    try:
        board.let_go()
        # Its files are closed a moment after the parent goes on.
        eventually(lambda: find_dead(path)).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


NAMES_THAT_LEAD_ELSEWHERE = [
    "/etc/passwd",
    "../jobs.db",
    "..",
    "",
    "gate.lock",
    "wake",
    "a/b-1-00000000",
    "a\0-1-00000000",
    "a\n-1-00000000",
    "a-1-00000000\n",
    "ä-1-00000000",
    "a-1-0000000g",
    "a-\u0661-00000000",
    "a" * 65 + "-1-00000000",
]


@pytest.mark.parametrize("name", NAMES_THAT_LEAD_ELSEWHERE)
def test_a_name_that_no_node_of_ours_has_leads_to_no_board(tmp_path, name):
    assert board_of(tmp_path, name) is None


@pytest.mark.parametrize("host", ["vm", "a.b-c_d", "../etc", "", "a b\n", "größe", "x" * 300])
def test_a_nodes_name_is_that_of_its_board_whatever_the_host_is_called(tmp_path, host):
    name = node_name(host, 4_000_000_000)
    assert board_of(tmp_path, name) == tmp_path / name
    assert len(name) < 100
    assert node_name(host, 1) != node_name(host, 1)


def test_a_link_a_pipe_and_a_folder_are_no_boards(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "file").write_bytes(struct.pack("<qq", 5, 1))
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        assert find_dead(tmp_path / name) is None
        assert begun_on(tmp_path / name) is None
        with pytest.raises(FileExistsError):
            FileBoard(tmp_path / name, 1)
    assert begun_on(tmp_path / "file") == {(5, 1)}


def test_a_folder_of_boards_that_is_a_link_is_not_used(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to("real")
    with pytest.raises(NotPrivate, match="is a link"):
        FileBoard(tmp_path / "run" / "node", 1)
    assert list((tmp_path / "real").iterdir()) == []


def test_where_nothing_is_allocated_in_advance_a_board_is_written_in_full(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    board = FileBoard(path, 3)
    assert path.read_bytes() == bytes(48)
    board.close()


def test_a_board_for_which_there_is_no_room_leaves_no_file(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match="full"):
        FileBoard(path, 3)
    assert not path.exists()


def test_boards_of_nodes_that_are_gone_are_removed_and_no_others(path):
    names = [node_name("host", number) for number in range(5)]
    gone, known, live, young, _ = names
    boards = {name: FileBoard(path.parent / name, 1) for name in names[:4]}
    for name in (gone, known, young):
        boards[name].let_go()
    (path.parent / "reserve").touch()
    for name in (gone, known, live, "reserve"):
        os.utime(path.parent / name, (0, 0))
    remove_orphans(path.parent, {known})
    left = {file.name for file in path.parent.iterdir()}
    assert left == {known, live, young, "reserve"}
    boards[live].close()
