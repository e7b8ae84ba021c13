"""The temperature of the vehicle connector (core): too hot, or not known, each believed by time.

Theory of operation. A contact that has worn out heats the connector until it melts, and nothing
else notices: voltage and current are as they should be. So a charger whose board has a sensor looks
at it. A connector that was too hot is all right again when it is much cooler, not at the same
temperature: else it would charge by fits and starts at its limit. A sensor that shows no
temperature (a broken wire, a short circuit) is as bad as heat; a board without one is not judged.
"""

from __future__ import annotations

HOT_C = 90.0
"""Where open charger and vehicle projects stop (DC-PLC-Madhurjya: connector 90; ADVANTICS: derated
to nothing at 90; both in degrees Celsius)."""
COOL_C = 60.0
"""Own figure: below this a connector that was too hot may be used again."""
RANGE_C = (-50.0, 200.0)
"""What a sensor in a connector can show; the rest is no temperature."""
BELIEVED_S = 0.5
"""Own figure: copper warms slowly, disturbances are short."""
NEITHER = (False, False)
"""Neither hot nor unknown: no sensor."""


class ConnectorHeat:
    """Turns temperatures into `hot` and `unknown`."""

    __slots__ = ("_since", "hot", "unknown")

    def __init__(self) -> None:
        self.hot = False
        self.unknown = False
        self._since: float | None = None
        """Since when readings say something else than what is believed."""

    @property
    def is_pending(self) -> bool:
        """Whether readings say something else than what is believed."""
        return self._since is not None

    def take(self, celsius: float | None, now: float) -> None:
        """Take one reading; None: the board has no sensor."""
        seen = NEITHER if celsius is None else self._seen(celsius)
        if seen == (self.hot, self.unknown):
            self._since = None
            return
        if self._since is None:
            self._since = now
        if now - self._since >= BELIEVED_S:
            (self.hot, self.unknown), self._since = seen, None

    def _seen(self, celsius: float) -> tuple[bool, bool]:
        if not RANGE_C[0] <= celsius <= RANGE_C[1]:
            return self.hot, True
        return celsius >= HOT_C or (self.hot and celsius > COOL_C), False
