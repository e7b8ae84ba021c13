"""Methods with code of their own for each class that inherits them.

CPython makes the code of a method quick for the class of objects that it meets, and gives that up
where it meets another one. A method that the charger's and the vehicle's class inherit from one
base, in a process that runs both in turn, would stay slow. A copy for each is quick for each; in
all else it is the same method.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C", bound=type[Any])
F = TypeVar("F", bound="Callable[..., Any]")


def own(function: F) -> F:
    """Return a copy of a function with code of its own."""
    assert isinstance(function, FunctionType)
    copy = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__, copy.__doc__ = function.__qualname__, function.__doc__
    copy.__annotations__ = function.__annotations__
    return cast("F", copy)


def own_code(cls: C) -> C:
    """Give a class copies of the methods that it inherits; for classes without subclasses."""
    for base in cls.__mro__[1:]:
        for name, member in vars(base).items():
            inherited = isinstance(member, FunctionType) and getattr(cls, name) is member
            if inherited and not name.startswith("__"):
                setattr(cls, name, own(member))
    return cls
