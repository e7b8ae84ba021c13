"""What both sides of SLAC share: which frames concern us, how phases and bad frames are told."""

from __future__ import annotations

from controller.errors import WireError
from controller.machine import TableMachine
from controller.plc import wire
from controller.signals import Output, PeerMisbehaved, SlacPhaseChanged

MALFORMED_REPORTS = 10
"""Bad frames that are reported one by one; all are counted in `malformed`."""

CLAUSE = "ISO 15118-3 Annex A"


class SlacCore(TableMachine):
    """Base of `EvseSlac` and `PevSlac`."""

    def __init__(self, mac: bytes) -> None:
        super().__init__()
        self.mac = mac
        self.malformed = 0
        self._phase = ""

    @property
    def phase(self) -> str:
        """Where matching stands, in words."""
        return str(self.state.value)

    def accept(self, frame: bytes) -> wire.Frame | None:
        """Parse a frame that is for us (own address or broadcast); None for all others."""
        if not wire.is_homeplug(frame) or frame[6:12] == self.mac:
            return None
        if frame[0:6] not in (self.mac, wire.BROADCAST):
            return None
        try:
            return wire.parse(frame)
        except WireError as e:
            self.malformed += 1
            if self.malformed <= MALFORMED_REPORTS:
                self.out.append(PeerMisbehaved(str(e), CLAUSE))
            return None

    def finish(self) -> list[Output]:
        """Take the outputs, after them the phase if it changed."""
        if self.phase != self._phase:
            self._phase = self.phase
            self.out.append(SlacPhaseChanged(self.phase))
        return self.drain()
