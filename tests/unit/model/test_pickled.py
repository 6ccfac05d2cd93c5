"""Signed pickles: what they carry, and what they refuse to open."""

from __future__ import annotations

import json
import re
import threading
from fractions import Fraction

import pytest

from mainspring import PickleCodec
from mainspring.errors import InvalidArguments, InvalidOption
from mainspring.model.codec import JsonCodec, Undecodable, Unstorable

KEY = b"0123456789abcdef"


class Vanishing:
    def __reduce__(self):
        return fail_to_load, ()


def fail_to_load():
    raise RuntimeError("its class was changed meanwhile")


class Shy:
    def __reduce__(self):
        raise KeyError("not me")


@pytest.fixture
def codec():
    return PickleCodec(KEY)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, "a"), {"b": [None]}), ((Fraction(1, 3), 1j, range(3)), {"x": {1: {2}}})],
)
def test_what_json_cannot_carry_comes_back(codec, args, kwargs):
    text = codec.encode_call("t", args, kwargs)
    assert json.loads(text).keys() == {"$pickle"}
    assert codec.decode_call(text, "t") == (args, kwargs)
    assert codec.decode_result(codec.encode_result([args, kwargs], "t"), "t") == [args, kwargs]


def test_codecs_of_one_key_understand_each_other_and_no_others():
    text = PickleCodec("a text of 16 bytes").encode_call("t", (1,), {})
    assert PickleCodec(b"a text of 16 bytes").decode_call(text, "t") == ((1,), {})
    with pytest.raises(Undecodable, match="not signed with this queue's key"):
        PickleCodec("a text of 16 byteS").decode_call(text, "t")
    for read in (JsonCodec().decode_call, JsonCodec().decode_result):
        with pytest.raises(Undecodable):
            read(text, "t")


def test_every_changed_character_is_noticed(codec):
    text = codec.encode_call("t", ("some text",), {})
    for place in range(len(text)):
        changed = bytearray(text)
        changed[place] ^= 1
        with pytest.raises(Undecodable):
            codec.decode_call(bytes(changed), "t")


def test_a_call_is_no_result_and_a_result_no_call(codec):
    with pytest.raises(Undecodable, match="signed"):
        codec.decode_result(codec.encode_call("t", (), {}), "t")
    with pytest.raises(Undecodable, match="signed"):
        codec.decode_call(codec.encode_result(((), {}), "t"), "t")


def test_what_was_signed_for_one_task_is_refused_to_another(codec):
    call, result = codec.encode_call("t", (1,), {}), codec.encode_result(1, "t")
    assert codec.decode_call(call, "t") == ((1,), {})
    assert codec.decode_result(result, "t") == 1
    for other in ("u", "", "t\0", "T"):
        with pytest.raises(Undecodable, match=re.escape(f"as arguments of task {other!r}")):
            codec.decode_call(call, other)
        with pytest.raises(Undecodable, match=re.escape(f"as result of task {other!r}")):
            codec.decode_result(result, other)


def test_plain_json_is_read_as_json(codec):
    plain = JsonCodec()
    assert codec.decode_call(plain.encode_call("t", ((1, 2),), {"b": {3}}), "t") == (
        ((1, 2),),
        {"b": {3}},
    )
    assert codec.decode_result(plain.encode_result({"$pickle": [1]}), "t") == {"$pickle": [1]}


@pytest.mark.parametrize("value", [threading.Lock(), lambda: None, Shy()])
def test_what_cannot_be_pickled_is_refused(codec, value):
    with pytest.raises(InvalidArguments, match=r"task 't': its arguments: .*pickle"):
        codec.encode_call("t", (value,), {})
    with pytest.raises(Unstorable, match="pickle"):
        codec.encode_result(value, "t")


def test_what_cannot_be_made_again_says_why(codec):
    with pytest.raises(Undecodable, match="RuntimeError: its class was changed"):
        codec.decode_call(codec.encode_call("t", (Vanishing(),), {}), "t")


def test_the_limit_is_that_of_the_text():
    codec = PickleCodec(KEY, limit_bytes=1000)
    assert codec.decode_result(codec.encode_result("x" * 500, "t"), "t") == "x" * 500
    with pytest.raises(InvalidArguments, match="limit_bytes=1,000"):
        codec.encode_call("t", ("x" * 1000,), {})
    with pytest.raises(Unstorable, match="limit_bytes"):
        codec.encode_result("x" * 1000, "t")


@pytest.mark.parametrize("key", ["", "short", b"15 bytes of key", None, 5])
def test_a_key_that_is_too_short_is_refused_and_never_told(key):
    with pytest.raises(InvalidOption, match="signing_key.*16 secret bytes") as caught:
        PickleCodec(key)
    assert "short" not in str(caught.value)
    assert KEY.decode() not in repr(PickleCodec(KEY))
