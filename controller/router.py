"""Several cores as one: outputs find the cores that want to know them.

Cores never call their neighbours. A process has a handful of them and one table that says which
output interests whom; that table is the wiring diagram of the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.signals import Output


def earliest(deadlines: Iterable[float | None]) -> float | None:
    """Return the earliest deadline that is set, or None."""
    best: float | None = None
    for deadline in deadlines:
        if deadline is not None and (best is None or deadline < best):
            best = deadline
    return best


class Router:
    """Several cores as one: what one of them returns goes to those that want to know it.

    `routes` maps an output's type to the cores whose `receive_signal` gets it. All outputs are
    returned in the order in which they arose, so the caller carries out and records each once.
    """

    LIMIT = 1000
    """Outputs passed on from one input; more is two cores that answer each other (our bug)."""

    def __init__(self, routes: dict[type[Output], tuple[Any, ...]]) -> None:
        self._routes = routes
        self.touched: set[Any] = set()
        """Cores that were given something since the owner cleared this."""

    def dispatch(self, outputs: list[Output], now: float) -> list[Output]:
        """Pass outputs on until none is left; returns all of them."""
        routes, done = self._routes, 0
        for output in outputs:  # which grows meanwhile
            cores = routes.get(type(output))
            if cores is None:
                continue
            self.touched.update(cores)
            for core in cores:
                outputs += core.receive_signal(output, now)
            done += 1
            if done >= self.LIMIT:
                raise ControllerError(f"cores answer each other without end: {output!r}")
        return outputs
