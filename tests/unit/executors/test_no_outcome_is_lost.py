"""Whatever an error does when it is looked at, its attempt ends in one outcome."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.engine.attempts.attempt import Attempt
from mainspring.engine.children.answer import answer
from mainspring.engine.children.request import decode_decision, places_of, request_of
from mainspring.model.codec import JsonCodec
from mainspring.model.control_flow import GiveUp, Retry, Snooze
from mainspring.model.job import Claim
from mainspring.model.retry import RetryRules
from mainspring.model.task import Registry, Task
from mainspring.processes.call import pack_error, unpack_error

ASKED = (
    "__traceback__",
    "__cause__",
    "__context__",
    "__suppress_context__",
    "__notes__",
    "__class__",
    "__str__",
    "__repr__",
    "__reduce_ex__",
    "__dict__",
    "args",
    "delay",
    "with_traceback",
)
BASES = (Exception, BaseException, OSError, SystemExit, KeyboardInterrupt, Retry, GiveUp, Snooze)
SECONDS = (RuntimeError, AttributeError, SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit)


class EvilMeta(type):
    def __getattribute__(cls, name):
        if name in {"__module__", "__qualname__", "__name__"}:
            raise RuntimeError("no name")
        return super().__getattribute__(name)

    def __instancecheck__(cls, other):
        raise RuntimeError("no check")

    def __subclasscheck__(cls, other):
        raise RuntimeError("no check")


class OddText(str):
    __slots__ = ()

    def encode(self, *args, **kwargs):
        raise RuntimeError("no encoding")


def odd_class(base, asked, second, *, hidden):
    def refuse(*_args, **_kwargs):
        raise second("odd")

    called = {"__str__", "__repr__", "__reduce_ex__", "with_traceback"}
    namespace = {name: refuse if name in called else property(refuse) for name in asked}
    namespace["__init__"] = lambda self: None
    kind = EvilMeta if hidden else type
    return kind("Odd", (base,), namespace)


errors = st.builds(
    odd_class,
    st.sampled_from(BASES),
    st.sets(st.sampled_from(ASKED), max_size=4),
    st.sampled_from(SECONDS),
    hidden=st.booleans(),
)
patient = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt_of(function, **options):
    tasks = Registry()
    kind = "async" if asyncio.iscoroutinefunction(function) else "thread"
    tasks.add(Task("odd", function, executor=kind, **options))
    codec = JsonCodec(limit_bytes=1 << 20)
    claim = Claim(1, "1-x", 7, "odd", "default", codec.encode_call("odd", (), {}), 1, 0)
    return Attempt(tasks, codec, lambda *_: None), claim


@patient
@given(errors)
def test_an_odd_error_in_a_thread_ends_in_an_outcome(kind):
    def odd():
        raise kind

    attempt, claim = attempt_of(odd)
    outcome = attempt.run(claim, 0)
    assert outcome.kind.value in {"failed", "retry", "snoozed"}
    assert str(outcome.failure).encode()


@patient
@given(errors)
def test_an_odd_error_in_a_coroutine_ends_in_an_outcome(kind):
    async def odd():
        raise kind

    attempt, claim = attempt_of(odd)
    outcome = asyncio.run(attempt.arun(claim, 0, lambda began: None))
    assert outcome.kind.value in {"failed", "retry", "snoozed"}


@patient
@given(errors)
def test_an_odd_error_as_the_cause_of_a_plain_one_ends_in_an_outcome(kind):
    def odd():
        try:
            raise kind  # noqa: TRY301
        except BaseException:  # noqa: BLE001
            raise ValueError("plain")  # noqa: B904

    attempt, claim = attempt_of(odd)
    failure = attempt.run(claim, 0).failure
    assert failure.type == "builtins.ValueError"
    assert failure.message == "plain"


raised = []


def odd_in_a_child():
    raise raised[-1]


@patient
@given(errors)
def test_an_odd_error_in_a_child_ends_in_a_reply(kind):
    raised.append(kind)
    task = Task("odd", odd_in_a_child, executor="process")
    claim = attempt_of(odd_in_a_child)[1]
    reply = answer(request_of(claim, places_of(task)), limit_bytes=100)
    assert decode_decision(reply).outcome.kind.value in {"failed", "retry", "snoozed"}


@patient
@given(errors)
def test_an_odd_error_that_is_sent_over_as_it_is_gives_one_in_the_parent(kind):
    try:
        raise kind  # noqa: TRY301
    except BaseException as error:  # noqa: BLE001
        packed = pack_error(error)
    assert isinstance(unpack_error(packed, "a call"), BaseException)


def test_rules_that_cannot_be_asked_fail_the_attempt():
    class Picky(Exception, metaclass=EvilMeta):
        pass

    def fail():
        raise ValueError("plain")

    attempt, claim = attempt_of(fail, retries=3, rules=RetryRules((Picky,), ()))
    outcome = attempt.run(claim, 0)
    assert outcome.kind.value == "failed"
    assert "builtins.ValueError" in outcome.failure.message


def test_an_odd_error_is_tried_again_like_any_other():
    class Lazy(Exception):
        @property
        def __class__(self):
            raise RuntimeError("gone")

    def fail():
        raise Lazy

    attempt, claim = attempt_of(fail, retries=3)
    assert attempt.run(claim, 0).kind.value == "retry"


def test_what_an_odd_error_hides_is_read_from_below():
    class Lazy(Exception):
        @property
        def __traceback__(self):
            raise RuntimeError("gone")

    def fail():
        raise Lazy("a message")

    failure = attempt_of(fail)[0].run(attempt_of(fail)[1], 0).failure
    assert failure.message == "a message"
    assert "in fail" in failure.traceback


def test_a_message_that_is_an_odd_text_is_stored():
    class Odd(Exception):
        def __str__(self):
            return OddText("odd \udc80")

    def fail():
        raise Odd

    attempt, claim = attempt_of(fail)
    assert attempt.run(claim, 0).failure.message == "odd \\udc80"


@pytest.mark.parametrize("error", [RecursionError, MemoryError, SystemExit, KeyboardInterrupt])
def test_what_an_encoder_raises_ends_in_an_outcome(error):
    def encode(result, claim):
        raise error("the encoder")

    def body():
        return 1

    attempt, claim = attempt_of(body)
    attempt._encode = encode
    assert attempt.run(claim, 0).failure.type == f"builtins.{error.__name__}"


def test_a_body_that_uses_up_the_stack_ends_in_an_outcome():
    def deeper():
        return deeper()

    attempt, claim = attempt_of(deeper)
    assert attempt.run(claim, 0).failure.type == "builtins.RecursionError"


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_a_slot_goes_on_after_an_odd_error(make_rig, eventually, kind):
    rig = make_rig(kind)
    odd = odd_class(BaseException, ASKED, SystemExit, hidden=True)

    def fail():
        raise odd

    async def afail():
        raise odd

    rig.task(fail if kind == "thread" else afail, name="fail", timeout=1)
    rig.start()
    for _ in range(3):
        rig.submit("fail")
    eventually(lambda: rig.kinds() == ["failed"] * 3)
