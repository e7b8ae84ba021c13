"""The self-test of a vehicle unit's contactor chain (core): watchdog and feedback, at each start.

As `interlock_test`, without what an inlet does not have: there is no CP-loss part (the charger has
one) and no emergency stop to read. A board that does not read its chain back has nothing
to prove. What fails leaves the chain open, and the contactors with it, until the next test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.interlock_test import ChainInputs, InterlockTest, S
from controller.signals import InterlockTested, SetWatchdog

if TYPE_CHECKING:
    from controller.signals import Output, PevInputs


class VehicleInterlockTest(InterlockTest):
    """Turns a vehicle's inputs into `SetWatchdog` and `InterlockTested`."""

    def __init__(self) -> None:
        super().__init__(configured=True)

    def receive_vehicle(self, inputs: PevInputs, now: float) -> list[Output]:
        """Take what the hardware tells, once a period until it `is_finished`."""
        if self.is_finished:
            return []
        if not inputs.chain_read:
            self.is_finished = self.has_passed = True
            return [SetWatchdog(toggling=True)]
        seen = ChainInputs(inputs.contactors, inputs.chain_open)
        if not self._is_news(seen, now):
            return []
        if self.state is S.WAITING:
            self.stop_toggling()  # whoever does: the chain has to be open first
        return self._judge(seen, waits=False)

    def tell_rest(self) -> None:
        """Two parts are proved by looking."""
        self._began_at = self._entered_at
        self._pass("at rest", "chain open")
        self._pass("feedback", "shows open")

    def tell_cp_loss(self) -> None:
        """There is no such part."""

    def fail(self) -> None:
        """Tell what failed; the chain stays open."""
        self.stop_toggling()
        self.out.append(InterlockTested(self._part, ok=False, detail=self._reason))
        text = f"the contactor chain's self-test failed: {self._part}: {self._reason}"
        self._finish(ok=False, detail=text)
