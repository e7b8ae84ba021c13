"""Declared classes behave as frozen dataclasses do."""

import copy
import dataclasses
import pickle

import pytest

from controller.v2g.exi.schema import Declared, Integer, declare, element
from controller.v2g.messages import din


@declare("Base", head=True)
class Base(Declared):
    """Made up."""


@declare("Point")
class Point(Base):
    """Made up."""

    x: int = element("x", Integer(0, 7))
    y: int | None = element("y", Integer(0, 7), default=None)


def test_classes_do_not_share_constructors() -> None:
    assert Base() == Base()
    assert Point(x=1).x == 1


def test_equality_and_hash() -> None:
    assert Point(x=1, y=2) == Point(x=1, y=2)
    assert hash(Point(x=1, y=2)) == hash(Point(x=1, y=2))
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Base()
    assert Point(x=1) != 1


def test_repr_names_the_fields() -> None:
    assert repr(Point(x=1)) == "Point(x=1, y=None)"


def test_it_is_a_dataclass() -> None:
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "y"]
    assert dataclasses.replace(Point(x=1), y=3) == Point(x=1, y=3)
    assert dataclasses.asdict(Point(x=1)) == {"x": 1, "y": None}


def test_copies() -> None:
    body = din.ServiceDetailReq(service_id=1)
    assert copy.copy(body) == body
    assert copy.deepcopy(body) == body
    assert pickle.loads(pickle.dumps(body)) == body


def test_objects_are_frozen() -> None:
    point = Point(x=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.z = 2  # type: ignore[attr-defined]
    decoded = din.decode(din.encode(din.Message(session_id=b"\1", body=din.SessionStopReq())))
    with pytest.raises(dataclasses.FrozenInstanceError):
        decoded.session_id = b""  # type: ignore[misc]
    assert type(decoded) is din.Message


@pytest.mark.parametrize("values", [{}, {"x": 1, "z": 2}])
def test_constructors_want_their_fields(values: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"Point\.__init__"):
        Point(**values)
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[call-arg]
