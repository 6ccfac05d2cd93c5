import json
import subprocess
import sys
import types
from datetime import datetime, timezone
from uuid import UUID

import pytest

from mainspring.model.codec import JsonCodec, Undecodable, Unstorable


@pytest.fixture
def codec():
    return JsonCodec()


def through(codec, value):
    return codec.decode_result(codec.encode_result(value))


def forged(codec, told):
    return codec.decode_result(json.dumps(told).encode())


def test_pydantic_is_not_imported_to_look_for_its_models():
    program = (
        "import sys; from mainspring.model.codec import JsonCodec\n"
        "try: JsonCodec().encode_result(object())\n"
        "except TypeError: print('pydantic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert run.stdout.strip() == b"False"


MODELS = """
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, field_validator

class Inner(BaseModel):
    at: object = None

class User(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = Field(alias="userName")
    tags: set[str] = set()
    inner: Inner | None = None
    _seen: int = PrivateAttr(default=0)

    @field_validator("name")
    @classmethod
    def shout(cls, name):
        return name + "!"

class Names(RootModel[list[str]]):
    pass
"""


@pytest.fixture
def models(monkeypatch):
    pytest.importorskip("pydantic")
    module = types.ModuleType("codec_models")
    monkeypatch.setitem(sys.modules, "codec_models", module)
    exec(MODELS, vars(module))
    return module


def test_a_pydantic_model_comes_back_equal(codec, models):
    user = models.User(userName="ann", age=(1, 2), inner=models.Inner(at=UUID(int=1)))
    user._seen = 5
    copy = through(codec, [user])[0]
    assert copy == user
    assert type(copy) is models.User
    assert copy.name == "ann!"
    assert copy.model_fields_set == user.model_fields_set
    assert through(codec, models.Names(["a"])) == models.Names(["a"])


@pytest.mark.parametrize("text", ["2030-01-31T08:00:00Z", "2030-01-31T08:00:00+05:30"])
def test_a_moment_that_pydantic_has_read_comes_back_as_that_moment(codec, text):
    moment = pytest.importorskip("pydantic").TypeAdapter(datetime).validate_python(text)
    copy = through(codec, moment)
    assert (copy, copy.utcoffset()) == (moment, moment.utcoffset())
    assert type(copy.tzinfo) is timezone


@pytest.mark.parametrize(
    "parts",
    [
        [{"at": 1, "z": 1}, [], None, None],
        [{"at": 1}, [], {"z": 1}, None],
        [{"at": 1}, [], None, {"z": 1}],
        [{"at": 1}],
        [1, [], None, None],
    ],
)
def test_a_forged_pydantic_model_is_undecodable(codec, models, parts):
    with pytest.raises(Undecodable):
        forged(codec, {"$pydantic": ["codec_models:Inner", *parts]})


def test_a_pydantic_model_that_lacks_a_field_is_undecodable(codec, models):
    with pytest.raises(Undecodable, match="has other fields than those stored"):
        forged(codec, {"$pydantic": ["codec_models:User", {}, [], None, None]})


def test_an_unstorable_field_of_a_pydantic_model_is_named(codec, models):
    with pytest.raises(Unstorable, match=r"\.at is of type object"):
        codec.encode_result(models.Inner(at=object()))
