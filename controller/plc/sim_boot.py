"""What a simulated modem without flash memory has: a boot loader that asks its host for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import WireError
from controller.plc import pib
from controller.plc import wire_modules as modules
from controller.plc.wire_vendor import VsHostActionInd

if TYPE_CHECKING:
    from collections.abc import Callable

HOST_ACTION_EVERY_S = 1.0
"""How often it says what it wants."""
START, STORE_PARAMETERS = 0, 2
"""Host actions that it asks for."""
PARAMETERS, FIRMWARE = 0, 1
"""Memory types of what is written."""
FAILED = 1
NEVER = float("inf")


class SimBootLoader:
    """Memory that is lost at each restart, and what is wanted until the host responds."""

    def __init__(self) -> None:
        self.wants: int | None = START
        self._asks_at = -NEVER
        self._memory: dict[int, dict[int, bytes]] = {}

    def restart(self) -> None:
        """Forget everything."""
        self.wants, self._memory = START, {}

    def asks_at(self, awake_at: float) -> float:
        """When it says what it wants; NEVER when it wants nothing."""
        return NEVER if self.wants is None else max(self._asks_at, awake_at)

    def ask(self, now: float) -> VsHostActionInd:
        """Say what it wants."""
        self._asks_at = now + HOST_ACTION_EVERY_S
        return VsHostActionInd(action=START if self.wants is None else self.wants)

    def write(
        self, mme: modules.VsAppletReq, take: Callable[[bytes], None]
    ) -> tuple[modules.VsAppletCnf, bool]:
        """Keep a piece; the last of the firmware starts it (`take` gets the parameter file)."""
        self._memory.setdefault(mme.memory_types[0], {})[mme.offset] = mme.data[: mme.length]
        wants_start = bool(mme.flags & modules.APPLET_EXECUTE)
        started = wants_start and self._start(mme.checksum, take)
        answer = modules.VsAppletCnf(
            status=FAILED if wants_start and not started else 0,
            client_session=mme.client_session,
            flags=mme.flags,
            total_length=mme.total_length,
            length=mme.length,
            offset=mme.offset,
            start_address=mme.start_address,
            checksum=mme.checksum,
        )
        return answer, started

    def _start(self, checksum: int, take: Callable[[bytes], None]) -> bool:
        parts = {
            kind: b"".join(pieces[at] for at in sorted(pieces))
            for kind, pieces in self._memory.items()
        }
        code = parts.get(FIRMWARE, b"")
        if PARAMETERS not in parts or not code or pib.checksum32(code) != checksum:
            return False
        try:
            take(parts[PARAMETERS])
        except WireError:
            return False
        return True
