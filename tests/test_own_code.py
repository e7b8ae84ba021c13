"""Methods with code of their own: the same in all but speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.own_code import own, own_code

if TYPE_CHECKING:
    from collections.abc import Callable


class Base:
    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, what: str, *, times: int = 1) -> list[str]:
        """Tell it."""
        self.told += [what] * times
        return self.told

    def name(self) -> str:
        return "base"

    @property
    def last(self) -> str:
        return self.told[-1]


class Middle(Base):
    def tell(self, what: str, *, times: int = 1) -> list[str]:
        """Tell it loudly."""
        return super().tell(what.upper(), times=times)


@own_code
class One(Middle):
    def name(self) -> str:
        return f"one of {super().name()}"


@own_code
class Other(Middle):
    pass


def test_a_copy_does_what_the_inherited_method_does() -> None:
    one, other = One(), Other()
    assert one.tell("a", times=2) == ["A", "A"]
    assert other.tell("b") == ["B"]
    assert (one.name(), other.name()) == ("one of base", "base")
    assert (one.last, other.last) == ("A", "B")


def test_each_class_has_code_of_its_own_and_the_base_keeps_its() -> None:
    assert len({id(cls.tell.__code__) for cls in (Middle, One, Other)}) == 3
    assert One.tell.__doc__ == Middle.tell.__doc__ == "Tell it loudly."
    assert One.tell.__qualname__ == "Middle.tell"
    assert One.__init__ is Base.__init__


def test_a_copy_of_a_function_keeps_its_defaults_and_its_closure() -> None:
    def outer(a: int) -> Callable[..., tuple[int, int, int]]:
        def inner(b: int = 2, *, c: int = 3) -> tuple[int, int, int]:
            return a, b, c

        return inner

    copy = own(outer(1))
    assert copy() == (1, 2, 3)
    assert copy(5, c=6) == (1, 5, 6)
    assert copy.__annotations__["c"] == "int"
