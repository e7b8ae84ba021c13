"""The vehicle's own parts and the end of a session: actions that every protocol's table uses.

Nothing here sends a message. The order of these actions is the table's business; what each of them
means for safety is said at the action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.machine import TableMachine
from controller.signals import (
    CloseConnection,
    ContactorRequest,
    Phase,
    S2Request,
    V2gEnded,
    V2gPhaseChanged,
)
from controller.v2g.session import V2gSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum


class EvccParts(TableMachine):
    """What a vehicle's conversation moves besides messages."""

    __slots__ = (
        "_connected",
        "_contactors",
        "_has_session",
        "_phase",
        "_resend",
        "_waited_in",
        "session",
    )

    def __init__(self) -> None:
        super().__init__()
        self.session = V2gSession()
        self._connected = False
        self._has_session = False
        self._waited_in: Enum = self.state
        self._contactors = False
        self._phase = Phase.CONNECTED
        self._resend: Callable[[], None] | None = None

    def has_session(self) -> bool:
        """Whether the connection lives, and the charger has told us the session's id."""
        return self._connected and self._has_session

    def close_s2(self) -> None:
        """Ask for pilot state C."""
        self.out.append(S2Request(True))

    def open_s2(self) -> None:
        """Ask for pilot state B: every charger switches off."""
        self._resend = None
        self.session.deadlines.cancel("ask")
        self.session.deadlines.cancel("answer")
        self.out.append(S2Request(False))

    def close_contactors(self) -> None:
        """Ask for the inlet contactors."""
        self._contactors = True
        self.out.append(ContactorRequest(True))

    def open_contactors(self) -> None:
        """Open the inlet contactors; only now the phase leaves those that allow them closed."""
        self._contactors = False
        self.out.append(ContactorRequest(False))
        self._enter(Phase.FAULT if self.session.fault else Phase.STOPPING)

    def drop_all(self) -> None:
        """Unplugged: everything off at once."""
        self.session.fault = True
        self.open_s2()
        self.open_contactors()
        self.finish()

    # --- actions: the end

    def latch_timeout(self) -> None:
        """A phase took too long."""
        self.session.fault = True
        self.session.latch(f"{self._waited_in.value} took too long")

    def latch_current(self) -> None:
        """The current did not fall."""
        self.session.fault = True
        self.session.latch("current did not fall below 1 A after PowerDelivery(stop)")

    def latch_not_opened(self) -> None:
        """No feedback from the contactors."""
        self.session.fault = True
        self.session.latch("inlet contactors did not report open")

    def latch_no_answer(self) -> None:
        """No answer to SessionStopReq: the session is over all the same."""
        self.session.latch("charger did not answer SessionStopReq")

    def finish(self) -> None:
        """Close the connection and report the end."""
        session = self.session
        session.deadlines.clear()
        if self._connected:
            self.out.append(CloseConnection(session.stop_reason))
        self._connected = False
        self.out.append(V2gEnded(session.stop_reason, session.normal and not session.fault))

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            self.out.append(V2gPhaseChanged(phase))
