"""What an interlock need not look at again: rows that saw the same before (core).

Theory of operation. A predicate is a pure function of the snapshot's fields. So a row that was
right is right again while every field *that it read* is as it was then. Most rows read what stands
still for minutes (states, feedback, switches), a few read what moves (voltage, current, ages). When
all rows have been right for a while, each is asked once more through a `_Glass` that notes what it
reads. From then on the rows whose fields stood still are not asked, as long as these fields do; the
others are asked every time, as are all rows from the moment anything differs.

Nothing is granted that asking every row would not grant; that is what the tests compare.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Seen = TypeVar("Seen")
Config = TypeVar("Config")

AFTER = 16
"""Evaluations in a row in which all was right, before it is noted what the rows read."""


class _Glass:
    """Shows a snapshot, and notes which of its fields are read."""

    __slots__ = ("_glass_read", "_glass_seen")

    def __init__(self, seen: object) -> None:
        self._glass_seen = seen
        self._glass_read: set[str] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        self._glass_read.add(name)
        return getattr(self._glass_seen, name)


def fields_read(ask: Callable[..., object], seen: object, *more: object) -> set[str]:
    """Return the fields of a snapshot that a function of it (and of `more`) reads."""
    glass = _Glass(seen)
    ask(glass, *more)
    return glass._glass_read


class Known(Generic[Seen, Config]):
    """Remembers for one table what its rows read when all of them were right."""

    def __init__(
        self, predicates: Sequence[Callable[[Seen, Config], bool]], config: Config
    ) -> None:
        self._predicates = tuple(dict.fromkeys(predicates))  # rows may differ in their time only
        self._config = config
        self._rights = 0
        self._before: tuple[Any, ...] = ()
        self._still: Callable[[Any], Any] | None = None
        self._values: Any = None
        self._moving: tuple[Callable[[Seen, Config], bool], ...] = ()

    def all_right(self, seen: Seen) -> bool:
        """Whether certainly no row is wrong; False: ask them all."""
        still = self._still
        if still is None:
            return False
        if still(seen) != self._values:
            self.forget()
            return False
        config = self._config
        for is_wrong in self._moving:  # noqa: SIM110 - a generator takes longer
            if is_wrong(seen, config):
                return False
        return True

    def note_right(self, seen: Seen) -> None:
        """Note that all rows were asked, and none is wrong."""
        self._rights += 1
        if self._rights == AFTER - 1:
            self._before = self._all(seen)
        elif self._rights >= AFTER:
            self._learn(seen)

    def forget(self) -> None:
        """Ask every row until all have been right for a while."""
        self._rights = 0
        self._still = None

    def _learn(self, seen: Seen) -> None:
        names = [field.name for field in fields(seen)]  # type: ignore[arg-type]
        pairs = zip(names, self._before, self._all(seen), strict=True)
        still = {name for name, before, now in pairs if before is now or before == now}
        moving, looked_at = [], set[str]()
        for is_wrong in self._predicates:
            read = fields_read(is_wrong, seen, self._config)
            if read <= still:
                looked_at |= read
            else:
                moving.append(is_wrong)
        self._rights = 0
        if len(looked_at) < 2:  # one alone would not come as a tuple: not worth it
            return
        self._moving = tuple(moving)
        self._still = attrgetter(*sorted(looked_at))
        self._values = self._still(seen)

    @staticmethod
    def _all(seen: object) -> tuple[Any, ...]:
        return tuple(getattr(seen, field.name) for field in fields(seen))  # type: ignore[arg-type]
