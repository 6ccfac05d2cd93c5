import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pool_bodies as bodies
import pytest

import mainspring
from mainspring import errors
from mainspring.processes.pool import ProcessPool

SOURCE = str(Path(mainspring.__file__).parent.parent)

MAIN = """
import os, sys
from mainspring.processes.pool import ProcessPool

class Point:
    def __init__(self, x):
        self.x = x

def double(point):
    return Point(point.x * 2)

def main():
    with ProcessPool(1) as pool:
        print(pool.call(double, Point(21)).x, pool.call(os.getpid) != os.getpid())
"""


def run_python(*words, cwd, given=None, environment=None):
    return subprocess.run(
        [sys.executable, *words],
        input=given,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": SOURCE, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_failing_initializer_is_told_to_the_call_with_its_traceback(make_pool, tmp_path):
    (tmp_path / "bad").touch()
    pool = make_pool(initializer=bodies.fail_while, initargs=(str(tmp_path / "bad"),))
    with pytest.raises(errors.ChildStartFailed, match="the cupboard is bare") as caught:
        pool.call(os.getpid)
    assert "in fail_while" in str(caught.value)


def test_failing_starts_back_off(make_pool, tmp_path, until):
    (tmp_path / "bad").touch()
    pool = make_pool(2, initializer=bodies.fail_while, initargs=(str(tmp_path / "bad"),))
    pool.start()
    until(lambda: pool._supervisor._backoff >= 0.4)
    assert len((tmp_path / "bad.starts").read_text()) <= 9
    assert "bare" in pool.status().last_failure


def test_children_that_fail_together_are_rested_for_once(make_pool, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("mainspring.processes.child_supervisor.monotonic", lambda: clock[0])
    pool = make_pool(16)
    supervisor, rests = pool._supervisor, []
    supervisor._free = pool._free
    for _ in range(3):
        for _ in range(16):
            supervisor._count_failure("the server is down")
        rests.append(round(supervisor._next_start - clock[0], 6))
        clock[0] = supervisor._next_start
    assert rests == [0.1, 0.2, 0.4]
    assert supervisor.failed_starts == 48


@pytest.mark.parametrize("eager", [0, 1])
def test_children_are_started_for_those_who_call(make_pool, tmp_path, until, eager):
    pool = make_pool(2, spare=0, eager=eager)
    words = str(tmp_path / "go")
    calls = [
        threading.Thread(target=pool.call, args=(bodies.mark_and_wait, str(tmp_path / mark), words))
        for mark in "ab"
    ]
    for call in calls:
        call.start()
    try:
        until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    finally:
        (tmp_path / "go").touch()
        pool.close(5)
        for call in calls:
            call.join(10)


def test_children_start_once_the_cause_is_mended(make_pool, tmp_path, until):
    (tmp_path / "bad").touch()
    pool = make_pool(initializer=bodies.fail_while, initargs=(str(tmp_path / "bad"),))
    with pytest.raises(errors.ChildStartFailed):
        pool.call(os.getpid)
    (tmp_path / "bad").unlink()
    until(lambda: pool.status().ready == 2)
    assert pool.call(os.getpid)


def test_a_child_that_dies_in_its_initializer_is_a_failed_start(make_pool):
    pool = make_pool(initializer=os._exit, initargs=(5,))
    with pytest.raises(errors.ChildStartFailed, match=r"child \d+ exited with code 5"):
        pool.call(os.getpid)


def test_an_initializer_that_exits_is_a_failed_start(make_pool):
    pool = make_pool(initializer=bodies.exit_politely, initargs=(5,))
    with pytest.raises(errors.ChildStartFailed, match="SystemExit"):
        pool.call(os.getpid)


def test_an_interpreter_that_is_not_there_is_a_failed_start(make_pool, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(errors.ChildStartFailed, match="/nowhere/python"):
        make_pool().call(os.getpid)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(errors.ChildStartFailed, match=r"sys\.executable is empty"):
        make_pool().call(os.getpid)


def test_a_frozen_program_does_not_start_itself_over_and_over(make_pool, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(errors.ChildStartFailed, match="this program is frozen"):
        make_pool().call(os.getpid)


def test_an_initializer_that_takes_too_long_is_a_failed_start(make_pool, monkeypatch, tmp_path):
    monkeypatch.setattr("mainspring.processes.child_supervisor.START_TIMEOUT", 0.3)
    pool = make_pool(initializer=bodies.wait_for, initargs=(str(tmp_path / "never"),))
    with pytest.raises(errors.ChildStartFailed, match=r"not ready within 0\.3 s"):
        pool.call(os.getpid)


def test_an_initializer_prepares_each_child(make_pool):
    pool = make_pool(initializer=bodies.set_variable, initargs=("PREPARED", "yes"))
    assert pool.call(os.getenv, "PREPARED") == "yes"


def test_what_cant_be_pickled_for_the_start_is_named(make_pool):
    with pytest.raises(errors.TaskNotImportable, match="<lambda>"):
        make_pool(initializer=lambda: None)
    with pytest.raises(errors.TaskNotImportable, match="<lambda>"):
        make_pool(handler=lambda payload: payload)


def test_a_child_has_its_parents_surroundings(pool, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["program", "--option"])
    monkeypatch.chdir(tmp_path)
    found = pool.call(bodies.surroundings)
    assert found["path"] == [entry or str(Path.cwd()) for entry in sys.path]
    assert found["argv"] == ["program", "--option"]
    assert found["cwd"] == str(tmp_path)
    assert found["executable"] == sys.executable


def test_a_child_starts_where_the_working_folder_was_removed(make_pool, monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    for entry in ("", "."):
        monkeypatch.syspath_prepend(entry)
    (tmp_path / "gone").rmdir()
    assert make_pool().call(abs, -1) == 1


def test_a_start_that_fails_before_its_child_leaves_nothing(monkeypatch, no_leaks):
    def fail():
        raise OSError("no levels")

    monkeypatch.setattr("mainspring.processes.child.levels_now", fail)
    with ProcessPool(1) as pool, pytest.raises(errors.ChildStartFailed, match="no levels"):
        pool.call(os.getpid)


def test_a_child_starts_light(pool):
    modules = pool.call(eval, "sorted(__import__('sys').modules)")
    heavy = {"asyncio", "socket", "subprocess", "multiprocessing", "msgspec"}
    ours = {
        f"mainspring.processes.{part}"
        for part in ("call", "frame", "parent_watch", "log_records", "main", "program")
    }
    assert not heavy.intersection(modules)
    assert {name for name in modules if name.startswith("mainspring.")} == {
        "mainspring.clock",
        "mainspring.errors",
        "mainspring.model",
        "mainspring.model.user_frames",
        "mainspring.processes",
        "mainspring.supervision",
        "mainspring.supervision.stop_signals",
        "mainspring.supervision.terminal",
        *ours,
    }


def test_a_child_leaves_ctrl_c_to_its_parent(pool):
    found = pool.call(bodies.surroundings)
    assert found["interrupt"] == signal.SIG_IGN
    assert callable(found["terminate"])  # it ends by it unless the parent was asked, too
    assert signal.SIGINT not in found["blocked"]


def test_ctrl_c_hits_no_child_while_it_starts(make_pool, until):
    pool = make_pool(2)
    pool.start()
    hit = set()
    while pool.status().ready < 3:
        for child in list(pool._supervisor._children):
            os.kill(child.pid, signal.SIGINT)
            hit.add(child.pid)
    assert len(hit) == 3
    assert pool.status().failed_starts == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread watches the parent")
def test_a_child_runs_one_thread(pool):
    assert pool.call(bodies.surroundings)["threads"] == 1


FLAGS = """
from mainspring.processes.pool import ProcessPool
with ProcessPool(1) as pool:
    names = "flags.optimize", "warnoptions"
    print([pool.call(eval, f"__import__('sys').{name}") for name in names])
    print(pool.call(eval, "__import__('sys')._xoptions"))
"""


FLAGS_SEEN = """\
[1, ['default', 'error::ResourceWarning']]
{'dev': True}
"""


def test_flags_of_the_interpreter_are_carried_over(tmp_path):
    flags = ("-O", "-X", "dev", "-W", "error::ResourceWarning")
    done = run_python(*flags, "-c", FLAGS, cwd=tmp_path)
    assert done.stdout == FLAGS_SEEN, done.stderr
    assert done.stderr == ""


def test_descriptors_of_the_parent_do_not_leak_into_children(pool, tmp_path):
    with (tmp_path / "lock").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003  # the standard signature
        status = os.fstat(file.fileno())
        assert pool.call(bodies.has_descriptor, status.st_dev, status.st_ino) is False


def test_children_hold_no_end_of_a_sibling(make_pool):
    pool = make_pool(3)
    few = [len(pool.call(bodies.surroundings)["descriptors"]) for _ in range(4)]
    # Three standard ones, the line, the parent's pipe, that of its stack, and the listing itself.
    assert max(few) <= 7


def test_functions_and_classes_of_a_script_cross(tmp_path):
    (tmp_path / "script").write_text(MAIN + "\nif __name__ == '__main__':\n    main()\n")
    done = run_python("script", cwd=tmp_path)
    assert done.stdout == "42 True\n", done.stderr


def test_functions_and_classes_of_a_module_run_by_m_cross(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "tool.py").write_text(
        "from . import __name__ as package\n" + MAIN + "\nif __name__ == '__main__':\n    main()\n"
    )
    done = run_python("-m", "package.tool", cwd=tmp_path)
    assert done.stdout == "42 True\n", done.stderr


def test_functions_of_a_package_run_by_m_cross(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(
        MAIN + "\nif __name__ == '__main__':\n    main()\n"
    )
    done = run_python("-m", "package", cwd=tmp_path)
    assert done.stdout == "42 True\n", done.stderr


def test_a_script_that_has_moved_to_another_folder_is_found(tmp_path):
    (tmp_path / "script.py").write_text(
        MAIN + "\nif __name__ == '__main__':\n    os.chdir('/')\n    main()\n"
    )
    done = run_python("script.py", cwd=tmp_path)
    assert done.stdout == "42 True\n", done.stderr


def test_a_main_module_that_no_call_names_is_not_loaded(tmp_path):
    (tmp_path / "script.py").write_text(
        "import os\nfrom mainspring.processes.pool import ProcessPool\n"
        "print('loaded')\nwith ProcessPool(2) as pool:\n    pool.call(os.getpid)\n"
    )
    done = run_python("script.py", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("loaded\n", "")


def test_an_unguarded_script_fails_with_what_to_write_and_does_not_multiply(tmp_path):
    (tmp_path / "script.py").write_text(MAIN + "\nopen('runs', 'a').write('.')\nmain()\n")
    done = run_python("script.py", cwd=tmp_path)
    assert 'put what starts them under `if __name__ == "__main__":`' in done.stderr
    assert done.returncode == 1
    assert len((tmp_path / "runs").read_text()) == 2


PLAIN = """
from mainspring.processes.pool import ProcessPool
with ProcessPool(1) as pool:
    print(pool.call(abs, -2))
"""


@pytest.mark.parametrize("given", ["-", "-c"])
def test_a_program_without_a_file_can_call_what_is_importable(tmp_path, given):
    words = ["-c", PLAIN] if given == "-c" else ["-"]
    done = run_python(*words, cwd=tmp_path, given=PLAIN)
    assert done.stdout == "2\n", done.stderr


def test_what_was_typed_in_is_named(tmp_path):
    done = run_python("-", cwd=tmp_path, given=MAIN + "\nmain()\n")
    assert "task 'double' can't be imported by another process: it was typed in" in done.stderr


def test_files_of_the_working_folder_do_not_shadow_what_a_child_imports(tmp_path):
    for name in ("struct.py", "ctypes.py", "signal.py", "threading.py", "mainspring.py"):
        (tmp_path / name).write_text("raise SystemError('shadowed')")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "script.py").write_text(
        MAIN + "\nif __name__ == '__main__':\n    main()\n"
    )
    done = run_python("scripts/script.py", cwd=tmp_path)
    assert done.stdout == "42 True\n", done.stderr


def test_a_body_may_have_a_pool_of_its_own(pool):
    assert pool.call(bodies.add_in_a_pool, 1, 2) == 3


def test_a_program_that_never_closes_its_pool_ends_in_silence(tmp_path):
    code = PLAIN.replace("with ProcessPool(1) as pool:\n    ", "pool = ProcessPool(2)\n")
    done = run_python("-X", "dev", "-c", code, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("2\n", "", 0)
