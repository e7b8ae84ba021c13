"""Frozen dataclasses that are made quickly.

A frozen dataclass sets its fields one by one through `object.__setattr__`, which takes most of the
time of a period: everything that a core is told, says and decides is such an object. `quick` keeps
all of its behaviour but makes the objects differently: as objects of an open class of the same
layout, which get the frozen class when they are filled. That takes half the time, and a third where
there are many fields.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

T = TypeVar("T")


def quick(cls: type[T]) -> type[T]:
    """Let a frozen dataclass with slots be made quickly; raises TypeError for any other class.

    It may have defaults, but neither factories nor `__post_init__`, nor subclasses with fields.
    """
    plain = (
        dataclasses.is_dataclass(cls)
        and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
        and "__slots__" in cls.__dict__
        and not hasattr(cls, "__post_init__")
        and set(cls.__dict__["__slots__"]) == {field.name for field in dataclasses.fields(cls)}
        and all(
            field.init and not field.kw_only and field.default_factory is dataclasses.MISSING
            for field in dataclasses.fields(cls)
        )
    )
    if not plain:
        raise TypeError(f"{cls.__name__} is no frozen dataclass with slots and plain fields")
    cls.__new__ = _first  # type: ignore[method-assign, assignment]
    cls.__reduce__ = _reduce  # type: ignore[method-assign]
    return cls


def _first(cls: type[Any], *args: object, **values: object) -> object:
    """Make the constructor when the first object is wanted, then that object."""
    _make_constructor(cls)
    return cls.__new__(cls, *args, **values)


def _reduce(self: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Copy and pickle by the constructor."""
    return type(self), tuple(getattr(self, name) for name in self.__slots__)


def _make_constructor(cls: type[Any]) -> None:
    fields = dataclasses.fields(cls)
    members = {"__slots__": tuple(cls.__slots__), "__module__": cls.__module__}
    names: dict[str, Any] = {"Open": type(f"Open{cls.__name__}", cls.__bases__, members)}
    parameters = ["cls"]
    for field in fields:
        if field.default is dataclasses.MISSING:
            parameters.append(field.name)
        else:
            names[f"default_{field.name}"] = field.default
            parameters.append(f"{field.name}=default_{field.name}")
    lines = [f"    self.{field.name} = {field.name}" for field in fields]
    text = [f"def __new__({', '.join(parameters)}):", "    self = Open()", *lines]
    exec("\n".join([*text, "    self.__class__ = cls", "    return self"]), names)
    made = names["__new__"]
    made.__qualname__ = f"{cls.__qualname__}.__new__"
    cls.__new__ = made
    cls.__init__ = object.__init__
