"""Our charger or car up to the match, as a process: `python -m tests.interop.slac_side evse IF`.

Modem core and SLAC core on a raw socket under the real loop, without pilot, IP and power.
"""

import os
import sys
from collections.abc import Sequence

from controller.loop import Loop, MonotonicClock, Node
from controller.plc.driver_af_packet import AfPacketLink
from controller.plc.modem import Modem
from controller.router import Router, earliest
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    PeerMisbehaved,
    SendFrame,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSlac,
    WatchLink,
)
from controller.slac.evse import EvseSlac
from controller.slac.pev import PevSlac

TOLD = (PeerMisbehaved, SlacMatched, SlacFailed, LinkChanged, ModemFailed)


class Side:
    """The two cores as one."""

    def __init__(self, role: str, mac: bytes) -> None:
        self.modem = Modem(mac)
        kind = EvseSlac if role == "evse" else PevSlac
        self.slac = kind(mac, os.urandom)
        to_slac = (ModemKeySet, ModemFailed, ModemFound, LinkChanged)
        self._router = Router(
            {SetModemKey: (self.modem,), WatchLink: (self.modem,)}
            | dict.fromkeys(to_slac, (self.slac,))
        )

    def start(self, now: float) -> list[Output]:
        """Begin matching."""
        return self._router.dispatch(self.slac.receive_signal(StartSlac(), now), now)

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame."""
        out = self.modem.receive_frame(frame, now) + self.slac.receive_frame(frame, now)
        if any(isinstance(o, SlacMatched) for o in out):
            out.append(WatchLink(on=True))
        return self._router.dispatch(out, now)

    def next_timer(self) -> float | None:
        """The earlier of both."""
        return earliest([self.modem.next_timer(), self.slac.next_timer()])

    def handle_timer(self, now: float) -> list[Output]:
        """Let deadlines pass."""
        out = self.modem.handle_timer(now) + self.slac.handle_timer(now)
        return self._router.dispatch(out, now)


def main(arguments: Sequence[str]) -> None:
    role, interface = arguments
    link = AfPacketLink(interface)
    loop = Loop(MonotonicClock())
    core = Side(role, link.mac)

    def carry_out(output: Output, now: float) -> None:
        if isinstance(output, SendFrame):
            link.send(output.frame)
        elif isinstance(output, TOLD):
            print(repr(output), flush=True)  # noqa: T201 - the log

    node = Node(role, core, carry_out)

    def readable(now: float) -> None:
        while (frame := link.receive()) is not None:
            node.feed(core.receive_frame, frame, now)

    loop.add(node)
    loop.watch(link.fileno(), readable)
    node.finish(core.start(loop.now()), loop.now())
    loop.run()


if __name__ == "__main__":
    main(sys.argv[1:])
