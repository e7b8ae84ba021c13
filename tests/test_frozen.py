"""Frozen dataclasses that are made quickly: the same in all but speed."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import dataclass, field

import pytest

from controller import signals
from controller.frozen import quick
from controller.signals import Output


@quick
@dataclass(frozen=True, slots=True)
class Point(Output):
    x: float
    y: float = 2.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usual(Output):
    x: float
    y: float = 2.0
    names: tuple[str, ...] = ()


SIGNALS = [
    kind
    for kind in vars(signals).values()
    if isinstance(kind, type) and issubclass(kind, Output) and kind is not Output
]


@pytest.mark.parametrize(
    ("args", "values"),
    [((1.0,), {}), ((1.0, 3.0), {}), ((1.0,), {"names": ("a",)}), ((), {"y": 1.0, "x": 0.0})],
)
def test_it_is_as_any_frozen_dataclass(args: tuple[float, ...], values: dict[str, object]) -> None:
    point, usual = Point(*args, **values), Usual(*args, **values)  # type: ignore[arg-type]
    assert type(point) is Point
    assert dataclasses.asdict(point) == dataclasses.asdict(usual)
    assert repr(point) == repr(usual).replace("Usual", "Point")
    assert hash(point) == hash(usual)
    assert point == Point(*args, **values)  # type: ignore[arg-type]
    assert point != Point(7.0)
    assert dataclasses.replace(point, x=5.0) == Point(5.0, point.y, point.names)


def test_it_is_frozen() -> None:
    point = Point(1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2.0  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises((AttributeError, TypeError)):
        point.z = 2.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("args", "values"), [((), {}), ((1.0, 2.0, (), 4), {}), ((1.0,), {"z": 0}), ((1.0,), {"x": 0})]
)
def test_wrong_arguments_are_refused(args: tuple[float, ...], values: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="argument"):
        Point(*args, **values)  # type: ignore[arg-type]


def test_it_can_be_copied() -> None:
    point = Point(1.0, names=("a", "b"))
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


@dataclass(slots=True)
class WithFactory:
    many: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Checked:
    x: float

    def __post_init__(self) -> None:
        raise ValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    x: float


@dataclass(frozen=True)
class WithDict:
    x: float


@pytest.mark.parametrize("cls", [WithFactory, Checked, Named, WithDict, int])
def test_what_it_would_change_is_refused(cls: type) -> None:
    with pytest.raises(TypeError, match="plain fields"):
        quick(cls)


@pytest.mark.parametrize("kind", SIGNALS)
def test_every_signal_is_frozen_and_quick(kind: type[Output]) -> None:
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    signal = kind(*names)
    assert [getattr(signal, name) for name in names] == names
    assert signal == kind(**dict(zip(names, names, strict=True)))
    for name in names:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(signal, name, None)
    assert kind.__init__ is object.__init__
