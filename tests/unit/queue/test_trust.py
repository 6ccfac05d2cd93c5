"""Whoever can write to the store must not be able to run code: rows written straight into it."""

from __future__ import annotations

import base64
import os
import pickle
import sys
from fractions import Fraction

import pytest

from mainspring import PickleCodec
from mainspring.errors import JobFailed
from mainspring.model.codec import Undecodable
from mainspring.model.job import Failure, NewJob, Outcome, OutcomeKind, Want
from mainspring.queue.job_handle import RemoteError

KEY = "0123456789abcdef"


class Bomb:
    """What runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def written(queue, payload, task="add"):
    (job_id,) = queue._store.enqueue_many([NewJob(task, "default", payload)])
    return queue.get_job(job_id)


def forged(bomb, seal=b"x" * 32):
    text = [base64.b64encode(part).decode() for part in (seal, pickle.dumps((bomb, {})))]
    return f'{{"$pickle":["{text[0]}","{text[1]}"]}}'.encode()


@pytest.fixture(params=["json", "pickle"])
def queue(request, make_queue):
    return make_queue(codec=None if request.param == "json" else PickleCodec(KEY))


@pytest.fixture
def bomb(tmp_path):
    return Bomb(tmp_path / "boom")


@pytest.fixture
def payloads(bomb):
    own = PickleCodec("another key, 16 bytes").encode_call("add", (bomb, 1), {})
    result = PickleCodec(KEY).encode_result(((bomb, 1), {}), "add")
    return {
        "a pickle": pickle.dumps(((bomb, 1), {}), 0),
        "an unsigned one": forged(bomb),
        "an empty seal": forged(bomb, b""),
        "another key's": own,
        "a result as a call": result,
        "a call of another task": PickleCodec(KEY).encode_call("other", (bomb, 1), {}),
        "a tag nobody knows": b'[[{"$pickle":["",""]}],{}]',
        "another tag": b'[[{"$python/object/apply:os.system":["true"]}],{}]',
        "a function as a record": b'[[{"$dataclass":["os:system",{"command":"true"}]}],{}]',
        "a module to import": b'[[{"$dataclass":["antigravity:X",{}]}],{}]',
        "a type nobody registered": b'[[{"$type":["os:system","true"]}],{}]',
        "no call": b'"just a text"',
        "half a mark": b'{"$pickle":5}',
    }


NAMES = [
    "a pickle",
    "an unsigned one",
    "an empty seal",
    "another key's",
    "a result as a call",
    "a call of another task",
    "a tag nobody knows",
    "another tag",
    "a function as a record",
    "a module to import",
    "a type nobody registered",
    "no call",
    "half a mark",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_payload_fails_its_job_and_runs_nothing(queue, add, bomb, payloads, name):
    job = written(queue, payloads[name])
    with queue.worker(), pytest.raises(JobFailed, match=r"Undecodable: ."):
        job.result(timeout=10)
    assert [entry.outcome for entry in job.history] == ["failed"]
    with pytest.raises(Undecodable):
        _ = job.args
    assert not bomb.path.exists()
    assert "antigravity" not in sys.modules


def test_the_bomb_is_one(bomb):
    pickle.loads(pickle.dumps(bomb))
    assert bomb.path.exists()


def finished(queue, job, outcome):
    node = queue._store.join("n", host="h", pid=1, lease=60)
    (claim,) = queue._store.claim(node, [Want((job.task,), None, 1)])
    fields = {"result": None, "failure": None, **outcome}
    kind = OutcomeKind.FAILED if fields["failure"] else OutcomeKind.COMPLETED
    assert queue._store.finish_many(node, [Outcome(claim.key, claim.fence, kind, **fields)])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "no call"])
def test_a_forged_result_is_refused_and_runs_nothing(queue, add, bomb, payloads, name):
    job = add.delay(1)
    result = PickleCodec(KEY).encode_call("add", (bomb,), {})
    finished(queue, job, {"result": result if "result" in name else payloads[name]})
    with pytest.raises(Undecodable):
        job.result(timeout=10)
    assert not bomb.path.exists()


def test_a_result_that_was_signed_for_another_task_is_refused(make_queue, bomb):
    codec = PickleCodec(KEY)
    queue = make_queue(codec=codec)
    for task, refused in (("add", False), ("other", True)):
        job = queue.task(name=f"of {task}")(lambda: None).delay()
        finished(queue, job, {"result": codec.encode_result(Fraction(1, 3), "of add")})
        if refused:
            with pytest.raises(Undecodable, match="as result of task 'of other'"):
                job.result(timeout=10)
        else:
            assert job.result(timeout=10) == Fraction(1, 3)


@pytest.mark.parametrize(
    "kind",
    [
        "os.system",
        "subprocess.Popen",
        "antigravity.Error",
        "builtins.eval",
        "builtins.exec",
        "builtins.print",
        "builtins.__import__",
        "builtins.SystemExit",
        "builtins.KeyboardInterrupt",
        "builtins.object",
        "builtins.ValueError.__class__",
        "builtins.UnicodeDecodeError",
        "builtins.ExceptionGroup",
        "builtins.",
        "ValueError",
        "",
        "..",
        "mainspring.errors.JobExpired",
    ],
)
def test_a_forged_type_of_an_error_is_evidence_and_nothing_else(queue, add, bomb, kind):
    job = add.delay(1)
    finished(queue, job, {"failure": Failure(kind, f"import os; os.mkdir({str(bomb.path)!r})")})
    with pytest.raises(JobFailed) as caught:
        job.result(timeout=10)
    assert type(caught.value.__cause__) is RemoteError
    assert caught.value.__cause__.failure.type == kind
    assert not bomb.path.exists()
    assert "antigravity" not in sys.modules


def test_a_job_of_a_task_that_nobody_registered_waits(queue, add):
    jobs = [written(queue, b'[["true"],{}]', task) for task in ("os.system", "builtins.eval", "")]
    with queue.worker():
        assert add.delay(1).result(timeout=10) == 3
    assert {job.status for job in jobs} == {"pending"}
    assert queue.stats()["unclaimable"] == len(jobs)
    assert {job.task for job in queue.jobs(search="true")} == {"os.system", "builtins.eval", ""}


def test_what_program_puts_into_builtins_is_not_built_in(queue, add, monkeypatch):
    import builtins  # noqa: PLC0415

    class Mine(Exception):
        def __init__(self, message):
            raise AssertionError("nobody has registered this")

    monkeypatch.setattr(builtins, "Mine", Mine, raising=False)
    job = add.delay(1)
    finished(queue, job, {"failure": Failure("builtins.Mine", "m")})
    with pytest.raises(JobFailed) as caught:
        job.result(timeout=10)
    assert type(caught.value.__cause__) is RemoteError
