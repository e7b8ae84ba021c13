"""The amplitude map, once the link is up: which carriers the other side is to send weaker.

Sending one is optional and off by default: no captured car or charger sends one. One that arrives
from the peer is confirmed and given to the own modem, which is what it is for.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.machine import TableMachine, row
from controller.plc import wire
from controller.signals import Output, SendFrame
from controller.slac import timing

MAX_CARRIERS = 1155
"""Carriers between 1.8 and 30 MHz (HomePlug AV); the test suite of ISO 15118-5 sends 917."""


class MapState(Enum):
    """Whether our map is confirmed."""

    IDLE = "idle"
    WAIT_CNF = "waiting for the confirm"


if TYPE_CHECKING:
    from controller.plc.layout import Mme

M = MapState

TABLE = [
    row("stop", list(M), M.IDLE),
    row("link_up", M.IDLE, M.WAIT_CNF, when="has_map", do=["begin", "send_map"]),
    row("confirm", M.WAIT_CNF, M.IDLE),
    row("timeout", M.WAIT_CNF, "=", when="has_retries_left", do="send_map"),  # TT_amp_map_exchange
    row("timeout", M.WAIT_CNF, M.IDLE),  # the peer does without
]


class AmplitudeMap(TableMachine):
    """Exchanges maps with the peer; `own` is ours, 4 bits (x 2 dB) a carrier, empty for none."""

    TABLE = TABLE
    INITIAL = M.IDLE
    DEADLINE_S: ClassVar = {M.WAIT_CNF: timing.TT_AMP_MAP_EXCHANGE_S}
    ENDLESS = (M.IDLE,)

    def __init__(self, mac: bytes, own: bytes = b"") -> None:
        super().__init__()
        self.mac = mac
        self.own = own
        self.peer = b""
        self._retries_left = 0

    def receive(self, frame: wire.Frame, now: float) -> list[Output] | None:
        """Take CM_AMP_MAP.REQ or .CNF; None if it is not the peer's or has no usable length."""
        if frame.src != self.peer or frame.dst != self.mac:
            return None
        self.now = now
        if isinstance(frame.mme, wire.CmAmpMapReq):
            if not 0 < frame.mme.carriers <= MAX_CARRIERS:
                return None
            self._send(self.peer, wire.CmAmpMapCnf(), frame.mmv)
            self._send(wire.LOCAL_MODEM, frame.mme, frame.mmv)
        else:
            self.confirm()
        return self.drain()

    def begin_with(self, peer: bytes, now: float) -> list[Output]:
        """Send our map, if there is one: the link to `peer` is up."""
        self.now, self.peer = now, peer
        self.link_up()
        return self.drain()

    def end(self) -> None:
        """Forget the peer."""
        self.peer = b""
        self.stop()

    # --- triggers ---

    def stop(self) -> bool:
        """The vehicle is gone."""
        return False

    def link_up(self) -> bool:
        """The powerline link is up."""
        return False

    def confirm(self) -> bool:
        """CM_AMP_MAP.CNF arrived."""
        return False

    # --- guards ---

    def has_map(self) -> bool:
        """Ask whether there is anything to send."""
        return bool(self.own)

    def has_retries_left(self) -> bool:
        """Ask whether the map may be sent again."""
        return self._retries_left > 0

    # --- actions ---

    def begin(self) -> None:
        """Count the tries."""
        self._retries_left = timing.C_EV_MATCH_RETRY + 1

    def send_map(self) -> None:
        """Send our map to the peer."""
        self._retries_left -= 1
        self._send(self.peer, wire.CmAmpMapReq(amplitudes=self.own))

    def _send(self, dst: bytes, mme: Mme, mmv: int | None = None) -> None:
        self.out.append(SendFrame(wire.build(dst, self.mac, mme, mmv)))
