"""Vehicles that asked for parameters and have not sounded yet: all of them, at the lowest price.

Everybody in earshot may ask, ten thousand times a second and under any address. Asking is therefore
answered from this table alone; a run of its own (`evse_run`) is only for a vehicle whose sounds
arrive. An entry lives for about a second and the table is larger than what can arrive in that time,
so no flood pushes out a vehicle that asked properly.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.slac import timing

LIMIT = 16_384
"""Entries: ten thousand requests a second, for the second that an entry lives."""

Key = tuple[bytes, bytes]
"""Vehicle's MAC and RunID: neither alone is unique (every Tesla has the same RunID)."""


@dataclass(slots=True)
class Asker:
    """One vehicle; `started_at` is its first CM_START_ATTEN_CHAR.IND."""

    until: float
    started_at: float | None = None


class Askers:
    """The table; entries that are too old are not there, whether or not they are swept yet."""

    def __init__(self) -> None:
        self._entries: dict[Key, Asker] = {}
        self._until = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def ask(self, key: Key, now: float) -> bool:
        """Note a request; False if the oldest entry was dropped for it though it still lived."""
        self._sweep(now)
        self._entries.pop(key, None)
        crowded = len(self._entries) >= LIMIT
        if crowded:
            del self._entries[next(iter(self._entries))]
        until = now + timing.EVSE_START_ATTEN_WAIT_S
        self._entries[key] = Asker(until)
        self._until = max(self._until, until)
        return not crowded

    def start(self, key: Key, now: float) -> bool:
        """Note the first announcement of sounds; False if nobody asked so."""
        asker = self.find(key, now)
        if asker is None:
            return False
        if asker.started_at is None:
            asker.started_at = now
            asker.until = now + timing.TT_EVSE_MATCH_MNBC_S
            self._until = max(self._until, asker.until)
        return True

    def find(self, key: Key, now: float) -> Asker | None:
        """Return the entry, if it still counts."""
        asker = self._entries.get(key)
        return asker if asker is not None and now < asker.until else None

    def forget(self, key: Key) -> None:
        """Remove an entry: its vehicle has a run now."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Remove all."""
        self._entries.clear()

    def next_timer(self) -> float | None:
        """When the youngest entry stops counting; None when there is none."""
        return self._until if self._entries else None

    def handle_timer(self, now: float) -> None:
        """Forget all, once the youngest is too old."""
        if now >= self._until:
            self._entries.clear()

    def _sweep(self, now: float) -> None:
        """Drop old entries from the front: the order is that of the requests."""
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key].until > now:
                break
            del self._entries[key]
