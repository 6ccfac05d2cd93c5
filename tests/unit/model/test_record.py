import json
import sys
import types
from dataclasses import InitVar, dataclass, field
from enum import Enum, Flag, IntEnum, StrEnum, auto
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.model.codec import JsonCodec, Undecodable, Unstorable
from mainspring.model.record import KINDS

FIRED: list[object] = []
HERE = __name__


class Color(Enum):
    RED = "r"
    GREEN = ("g", 2)


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    HELLO = "hello"


class Right(Flag):
    READ = auto()
    WRITE = auto()


class Named(Enum):
    """Hides what every member has."""

    ONE = 1
    name = "nobody"


@dataclass
class Point:
    x: object
    y: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    name: str
    inner: object = None


@dataclass
class Doubled:
    """Not idempotent: made of its own fields, it would differ."""

    size: int
    area: int = field(init=False)

    def __post_init__(self):
        self.size *= 2
        self.area = self.size**2


@dataclass
class Late:
    """Has a field that is set after it was made."""

    found: object = field(init=False)


def late():
    made = Late()
    made.found = None
    return made


@dataclass
class Other:
    """Its constructor takes something that it does not keep."""

    seed: InitVar[int]
    total: int = 0


@dataclass
class Listed(list):
    name: str = ""


@dataclass
class Box:
    @dataclass
    class Lid:
        shut: bool


@dataclass
class Picky:
    age: int

    def __post_init__(self):
        if self.age < 0:
            raise ValueError("no age is negative")


class Message(msgspec.Struct, frozen=True):
    to: str
    body: object = None


class Tally(msgspec.Struct):
    count: int

    def __post_init__(self):
        self.count += 1


class Trap:
    """Tells when anything is done with it but looking at it."""

    def __init__(self, *args, **kwargs):
        FIRED.append(("made", args, kwargs))


class Proxy:
    """Runs code when asked what it is, as proxies do."""

    @property
    def __class__(self):
        FIRED.append("asked")
        return type

    def __getattr__(self, name):
        FIRED.append(name)
        return Point


def fire(*args, **kwargs):
    FIRED.append((args, kwargs))


proxy = Proxy()
lazy = types.ModuleType("codec_lazy")
lazy.__file__ = ""  # what test tools ask every module for
lazy.__getattr__ = fire  # the hook of PEP 562


@pytest.fixture
def codec():
    return JsonCodec()


def through(codec, value):
    return codec.decode_result(codec.encode_result(value))


def forged(codec, told):
    return codec.decode_result(json.dumps(told).encode())


RECORDS = [
    Color.RED,
    Color.GREEN,
    Level.LOW,
    Word.HELLO,
    Right.READ,
    Right.READ | Right.WRITE,
    Right(0),
    Named.ONE,
    {Word.HELLO: 1},
    Point(1, [Point((1,), {2})]),
    Frozen(name="a", inner=Color.RED),
    Box.Lid(shut=True),
    Message("a", Message("b", {1: b"x"})),
    Doubled(3),
    late(),
    Tally(3),
]


@pytest.mark.parametrize("value", RECORDS, ids=range(len(RECORDS)))
def test_a_record_comes_back_equal_and_of_its_type(codec, value):
    assert through(codec, value) == value
    assert type(through(codec, value)) is type(value)


def test_a_member_comes_back_as_itself(codec):
    assert through(codec, [Word.HELLO, Named.ONE]) == [Word.HELLO, Named.ONE]
    assert through(codec, Color.GREEN) is Color.GREEN


def test_a_field_added_since_takes_its_default(codec):
    told = {"$dataclass": [f"{HERE}:Point", {"x": 1}]}
    assert forged(codec, told) == Point(1, None)


def local_class():
    @dataclass
    class Local:
        x: int

    return Local(1)


def unset_field():
    point = Point(1)
    del point.x
    return point


REFUSED = [
    (Listed("a"), "Listed, a subclass of list: its own type would be lost"),
    (Color, "it is of type enum.EnumType"),
    (Point(1, [Path()]), r"\.y\[0\] is of type pathlib"),
    (Message("a", Path()), r"\.body is of type pathlib"),
    (Other(1), "Other, whose constructor takes other things"),
    (local_class(), "not found under its name; define it at top level"),
    (unset_field(), "Point, a field unset"),
]


@pytest.mark.parametrize(("value", "sentence"), REFUSED, ids=[case[1] for case in REFUSED])
def test_a_record_that_would_not_come_back_is_refused(codec, value, sentence):
    with pytest.raises(Unstorable, match=sentence):
        codec.encode_result(value)


FORGED = [
    ({"$nothing": 1}, r"\$nothing"),
    ({"$nothing": []}, r"unknown tag \$nothing"),
    ({"$tuple": "ab"}, r"\$tuple can't hold str"),
    ({"$set": [[]]}, r"\$set does not hold what it should: TypeError"),
    ({"$dict": [1]}, r"\$dict does not hold"),
    ({"$dict": [[[], 1]]}, r"\$dict does not hold"),
    ({"$bytes": "a"}, r"\$bytes does not hold"),
    ({"$uuid": "a"}, r"\$uuid does not hold"),
    ({"$uuid": 1}, r"\$uuid can't hold int"),
    ({"$decimal": "a"}, r"\$decimal does not hold"),
    ({"$float": "1.5"}, r"\$float does not hold"),
    ({"$int": "a g"}, r"\$int does not hold"),
    ({"$date": "yesterday"}, r"\$date does not hold"),
    ({"$datetime": ["2026-01-01", "Nowhere/Never", 0]}, r"\$datetime does not hold"),
    ({"$datetime": ["2026-01-01", "../../etc/passwd", 0]}, r"\$datetime does not hold"),
    ({"$datetime": ["2026-01-01", "", 0]}, r"\$datetime does not hold"),
    ({"$timedelta": [10**10, 0, 0]}, r"\$timedelta does not hold"),
    ({"$enum": [f"{HERE}:Color", "BLUE"]}, r"\$enum does not hold what it should: KeyError"),
    ({"$enum": [f"{HERE}:Color", "mro"]}, r"\$enum does not hold what it should: KeyError"),
    ({"$enum": [f"{HERE}:Right", 99]}, r"\$enum does not hold"),
    ({"$enum": [f"{HERE}:Point", "x"]}, r"is not a class of the kind \$enum"),
    ({"$enum": [f"{HERE}:Color"]}, r"\$enum does not hold"),
    ({"$enum": []}, r"\$enum does not hold"),
    ({"$enum": [7, "RED"]}, r"\$enum does not hold"),
    ({"$dataclass": [f"{HERE}:Point", {"z": 1}]}, r"\$dataclass does not hold"),
    ({"$dataclass": [f"{HERE}:Point", {"x": 1, "__class__": 1}]}, r"\$dataclass does not hold"),
    ({"$dataclass": [f"{HERE}:Point", {}]}, r"\$dataclass does not hold"),
    ({"$dataclass": [f"{HERE}:Picky", {"age": -1}]}, "no age is negative"),
    ({"$dataclass": [f"{HERE}:Gone", {}]}, "Gone' is not loaded here"),
    ({"$dataclass": [f"{HERE}:Box.Lid.Gone", {}]}, "Gone' is not loaded here"),
    ({"$dataclass": [f"{HERE}:", {}]}, "is not loaded here"),
    ({"$dataclass": ["antigravity:fly", {}]}, "is not loaded here"),
    ({"$dataclass": [f"{HERE}:Trap", {}]}, "is not a class of the kind"),
    ({"$dataclass": [f"{HERE}:fire", {}]}, "is not a class of the kind"),
    ({"$dataclass": [f"{HERE}:proxy", {}]}, "is not a class of the kind"),
    ({"$dataclass": [f"{HERE}:proxy.anything", {}]}, "is not loaded here"),
    ({"$dataclass": ["codec_lazy:anything", {}]}, "is not loaded here"),
    ({"$pydantic": [f"{HERE}:Trap", {}]}, "is not a class of the kind"),
    ({"$struct": [f"{HERE}:Message", {"to": 1, "z": 1}]}, r"\$struct does not hold"),
    ({"$struct": ["subprocess:Popen", {"args": "true"}]}, "is not a class of the kind"),
    ({"$type": ["os:system", "true"]}, "os:system' is not registered here"),
    ({"$type": [[], 1]}, r"\$type does not hold"),
]


@pytest.fixture
def trapped(monkeypatch):
    monkeypatch.setitem(sys.modules, "codec_lazy", lazy)
    FIRED.clear()
    yield
    assert FIRED == []


@pytest.mark.parametrize(("told", "sentence"), FORGED, ids=[json.dumps(case[0]) for case in FORGED])
@pytest.mark.usefixtures("trapped")
def test_a_forged_text_is_undecodable_and_runs_nothing(codec, told, sentence):
    with pytest.raises(Undecodable, match=sentence):
        forged(codec, {"inside": [told]})


def test_decoding_imports_nothing(codec):
    with pytest.raises(Undecodable, match="is not loaded here"):
        forged(codec, {"$dataclass": ["this:Zen", {}]})
    assert "this" not in sys.modules


names = st.sampled_from(
    [
        *(f"{HERE}:{name}" for name in ("Trap", "fire", "proxy", "proxy.x", "lazy", "FIRED")),
        *(f"{HERE}:{name}" for name in ("Point", "Color", "Right", "Message", "Frozen", "Tally")),
        "codec_lazy:x",
        "os:system",
        "builtins:eval",
        "builtins:object",
        "subprocess:Popen",
        "antigravity:fly",
        "this:s",
        ":",
        "",
    ]
)
LEAF_TAGS = ("int", "float", "bytes", "uuid", "decimal", "datetime", "date", "time", "timedelta")
TAGS = (*LEAF_TAGS, "tuple", "set", "frozenset", "dict", "type", *KINDS, "object", "")
tags = st.sampled_from([f"${tag}" for tag in TAGS])
documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | names | st.sampled_from(["x", "RED", "to"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["x", "y", "to", "name", "__class__"]), inner, max_size=3),
        st.builds(lambda tag, body: {tag: body}, tags, inner),
        st.builds(lambda tag, name, body: {tag: [name, body]}, tags, names, inner),
    ),
    max_leaves=12,
)

watched: list[str] = []
watching = False


def watch(event, args):
    # `compile` and `open` are seen too, which covers imports from files.
    if watching and event.split(".")[0] in {"compile", "exec", "os", "subprocess", "socket"}:
        watched.append(f"{event} {args}")


sys.addaudithook(watch)


@pytest.mark.usefixtures("trapped")
def test_no_forged_document_runs_anything():
    codec, loaded = JsonCodec(), set(sys.modules)

    @given(documents)
    def attempt(document):
        global watching  # noqa: PLW0603  # an audit hook can't be removed
        text = json.dumps(document).encode()
        watching = True
        try:
            codec.decode_result(text)
        except Undecodable:
            pass
        finally:
            watching = False

    attempt()
    assert watched == []
    assert {
        name for name in set(sys.modules) - loaded if not name.startswith("hypothesis")
    } == set()
