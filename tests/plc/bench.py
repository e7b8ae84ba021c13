"""A management core and simulated modems in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.plc import pib, wire
from controller.plc.manage import ManageDone, ManageFailed, Manager, Plan
from controller.plc.sim import SimPowerline
from controller.plc.sim_modem import SimModem
from controller.signals import Output, SendFrame

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = bytes.fromhex("02000000000a")
MACS = [bytes.fromhex("00b052aa0001"), bytes.fromhex("00b052aa0002")]
LONGEST_S = 1000.0


def line(**first: Any) -> SimPowerline:  # noqa: ANN401
    """Two modems as they leave the factory; keywords are for ours."""
    return SimPowerline(
        [SimModem(MACS[0], **first), SimModem(MACS[1], slac_mode=pib.SLAC_PEV)],
        seed="bench",
    )


class Bench:
    """Runs one core on the first modem's Ethernet port until it says that it has ended."""

    def __init__(
        self,
        core: Any,  # noqa: ANN401
        wires: SimPowerline,
        lose: Callable[[bytes], bool] = lambda frame: False,
        change: Callable[[bytes], bytes] = lambda frame: frame,
    ) -> None:
        self.core = core
        self.wires = wires
        self.lose = lose
        """Say whether a frame of ours, or one for us, is lost."""
        self.change = change
        """Damage a frame for us."""
        self.now = 0.0
        self.out: list[Output] = []
        self.sent: list[bytes] = []

    def run(self, done: Callable[[list[Output]], bool] | None = None) -> list[Output]:
        """Run until `done(outputs)`; by default until the plan has ended."""
        ended = done or (lambda out: any(isinstance(o, ManageDone | ManageFailed) for o in out))
        self._carry(self.core.handle_timer(self.now))
        while not ended(self.out):
            times = [t for t in (self.core.next_timer(), self.wires.next_timer()) if t is not None]
            assert times, "nothing will ever happen again"
            self.now = max(self.now, min(times))
            assert self.now < LONGEST_S, "it does not end"
            for index, frame in self.wires.handle_timer(self.now):
                if index == 0 and not self.lose(frame):
                    self._carry(self.core.receive_frame(self.change(frame), self.now))
            self._carry(self.core.handle_timer(self.now))
        return self.out

    def _carry(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, SendFrame):
                self.sent.append(output.frame)
                if not self.lose(output.frame):
                    self.wires.receive_frame(0, output.frame, self.now)
            else:
                self.out.append(output)


def carry_out(plan: Plan, wires: SimPowerline | None = None, **how: Any) -> Bench:  # noqa: ANN401
    """Carry out a plan; the bench afterwards."""
    bench = Bench(Manager(HOST, plan), wires or line(), **how)
    bench.run()
    return bench


def result(bench: Bench) -> Any:  # noqa: ANN401
    """What the plan returned; fails when it did not end well."""
    last = bench.out[-1]
    assert isinstance(last, ManageDone), last
    return last.result


def failure(bench: Bench) -> str:
    """Why the plan failed."""
    last = bench.out[-1]
    assert isinstance(last, ManageFailed), last
    return last.reason


def mmtypes(bench: Bench) -> list[int]:
    """Types of the frames that were sent, repeats left out."""
    found: list[int] = []
    for frame in bench.sent:
        kind = wire.mmtype_of(frame)
        if not found or found[-1] != kind:
            found.append(kind)
    return found
