"""SLAC at the charger: find out which vehicle is at the other end of our cable, and join it.

Every vehicle in earshot broadcasts its requests. We answer each in a run of its own (`evse_run`)
and leave the choice to the vehicle: it takes the charger that heard it best. The first run that
gets as far as its match request is our vehicle.

The modem has a fresh random network key before each plug-in: it is set at the start and whenever a
vehicle leaves (`StopSlac`), not at plug-in, because the modem restarts with it and would be deaf
while the vehicle asks. A vehicle that comes sooner waits in WAIT_KEY.

After the match repeated match requests are answered again (our confirm may be lost), and the same
vehicle may begin again until the link is up; everybody else is ignored, so that a second car at the
neighbouring outlet cannot disturb a session.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.machine import row
from controller.plc import wire
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    PeerMisbehaved,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.slac import attenuation, timing
from controller.slac.core import CLAUSE, SlacCore
from controller.slac.evse_run import EvseRun, RunState

if TYPE_CHECKING:
    from collections.abc import Callable

HEEDED = wire.SLAC_MMTYPES | {wire.CmAttenProfileInd.MMTYPE}
"""The rest (what the modem tells of its link, five times a second) is the modem core's."""
RUNS = timing.C_EVSE_MATCH_PARALLEL + 3


class EvseSlacState(Enum):
    """Where matching stands."""

    START = "start"
    UNPLUGGED = "unplugged"
    WAIT_KEY = "waiting for the own modem"
    WAITING = "waiting for the vehicle"
    LAST_RUN = "waiting for the last run"
    MATCHED = "matched"
    FAILED = "failed"


S = EvseSlacState
ANY = list(S)

TABLE = [
    row("stop", ANY, S.UNPLUGGED, do=["drop_runs", "change_key"]),
    row("timeout", S.START, S.UNPLUGGED, do="change_key"),
    row("modem_found", S.UNPLUGGED, None, when="has_no_key", do="change_key"),
    row("start", ANY, S.WAIT_KEY, when="has_no_key", do=["drop_runs", "change_key"]),
    row("start", ANY, S.WAITING, when="is_key_set", do="drop_runs"),
    row("start", ANY, S.WAIT_KEY, do="drop_runs"),
    row("key_set", S.WAIT_KEY, S.WAITING),
    row("key_failed", S.WAIT_KEY, S.FAILED, do="report_no_key"),
    row("timeout", S.WAIT_KEY, S.FAILED, do="report_no_key"),
    row("timeout", S.WAITING, S.LAST_RUN, when="has_runs"),  # TT_EVSE_SLAC_init
    row("timeout", S.WAITING, S.FAILED, do="report_nobody"),
    row("runs_ended", S.LAST_RUN, S.FAILED, do="report_nobody"),
    row("timeout", S.LAST_RUN, S.FAILED, do=["drop_runs", "report_nobody"]),
    row("matched", [S.WAITING, S.LAST_RUN, S.MATCHED], S.MATCHED, do="report_match"),
]


class EvseSlac(SlacCore):
    """The charger's core: `mac` is the own interface's, `rng(n)` gives n random bytes."""

    TABLE = TABLE
    INITIAL = S.START
    DEADLINE_S: ClassVar = {
        S.WAIT_KEY: timing.EVSE_WAIT_KEY_S,
        S.WAITING: timing.TT_EVSE_SLAC_INIT_S,
        S.LAST_RUN: timing.EVSE_LAST_SESSION_S,
    }
    ENDLESS = (S.START, S.UNPLUGGED, S.MATCHED, S.FAILED)

    def __init__(
        self,
        mac: bytes,
        rng: Callable[[int], bytes],
        fallback_profile: bytes = attenuation.FALLBACK_PROFILE,
    ) -> None:
        super().__init__(mac)
        self._rng = rng
        self.nid = b""
        self.nmk = b""
        self._key_set = False
        self._link_up = False
        self._peer: EvseRun | None = None
        self._why_no_key = ""
        self._asked = 0
        self.runs = [EvseRun(mac, fallback_profile) for _ in range(RUNS)]
        self._deadline_at = 0.0  # the first handle_timer sets the first key

    # --- verbs ---

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame from the link; frames of foreign runs are ignored."""
        self.now = now
        rx = self.accept(frame)
        if rx is None or wire.mmtype_of(frame) not in HEEDED:
            return self.drain()
        if self.state not in (S.WAITING, S.LAST_RUN, S.MATCHED):
            return self.drain()
        self.rx = rx
        for run in self._runs_for(rx):
            was_matched = run.state is RunState.MATCHED
            self.out.extend(run.receive(rx, now))
            if run.state is RunState.MATCHED and not was_matched:
                self._peer = run
                self.matched()
        self._check_runs()
        return self.finish()

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take StartSlac, StopSlac, and what the modem core and its link report."""
        self.now = now
        match signal:
            case StartSlac():
                self._asked = 0
                self.start()
            case StopSlac():
                self.stop()
            case ModemKeySet(nid=nid) if nid == self.nid:
                self._key_set = True
                self.key_set()
            case ModemFailed(reason=reason) if not self._key_set:
                self._why_no_key = reason
                self.nid = b""
                self.key_failed()
            case ModemFound():
                self.modem_found()
            case LinkChanged(up=up):
                self._link_up = up
            case _:
                pass
        return self.finish()

    def handle_timer(self, now: float) -> list[Output]:
        """Let the deadlines of the state and of the runs pass."""
        self.out = super().handle_timer(now)
        self.now = now
        for run in self.runs:
            self.out.extend(run.handle_timer(now))
        self._check_runs()
        return self.finish()

    def next_timer(self) -> float | None:
        """Earliest deadline of the state and of the runs."""
        best = self._deadline_at
        for run in self.runs:
            at = run.next_timer()
            if at is not None and (best is None or at < best):
                best = at
        return best

    @property
    def phase(self) -> str:
        """The state; while waiting, how far the most advanced run is."""
        if self.state in (S.WAITING, S.LAST_RUN):
            order = list(RunState)
            best = max((run.state for run in self.runs), key=order.index)
            if best is not RunState.FREE:
                return str(best.value)
        return str(self.state.value)

    # --- runs ---

    def _runs_for(self, rx: wire.Frame) -> list[EvseRun]:
        mine = [run for run in self.runs if run.is_for(rx)]
        if not isinstance(rx.mme, wire.CmSlacParmReq):
            return mine
        if not self._may_begin(rx):
            return []
        run = mine[0] if mine else self._free_run()
        if run is None:
            return []
        self._asked += 1
        run.nid, run.nmk = self.nid, self.nmk
        return [run]

    def _may_begin(self, rx: wire.Frame) -> bool:
        mme = rx.mme
        if isinstance(mme, wire.CmSlacParmReq) and (mme.application_type or mme.security_type):
            self.out.append(
                PeerMisbehaved(
                    f"CM_SLAC_PARM.REQ of {rx.src.hex(':')} asks for application "
                    f"{mme.application_type} security {mme.security_type}; only 0 and 0 exist here",
                    CLAUSE,
                )
            )
            return False
        if self.state is S.MATCHED:
            known = self._peer is not None and rx.src == self._peer.pev_mac
            return known and not self._link_up
        return self.state is S.WAITING

    def _free_run(self) -> EvseRun | None:
        """Find a free run, or take the oldest that never came to its sounds."""
        free = [run for run in self.runs if run.state is RunState.FREE]
        if free:
            return free[0]
        waiting = [run for run in self.runs if run.state is RunState.WAIT_START]
        return min(waiting, key=lambda run: run.began_at, default=None)

    def _check_runs(self) -> None:
        if self.state is S.LAST_RUN and not self.has_runs():
            self.runs_ended()

    # --- triggers ---

    def start(self) -> bool:
        """A vehicle was plugged in."""
        return False

    def stop(self) -> bool:
        """The vehicle is gone."""
        return False

    def key_set(self) -> bool:
        """The modem has our key."""
        return False

    def key_failed(self) -> bool:
        """The modem did not take our key."""
        return False

    def modem_found(self) -> bool:
        """A modem answered."""
        return False

    def runs_ended(self) -> bool:
        """The last run is over."""
        return False

    def matched(self) -> bool:
        """A run got as far as its match."""
        return False

    # --- guards ---

    def has_no_key(self) -> bool:
        """Ask whether no key is set nor on its way."""
        return not self.nid

    def is_key_set(self) -> bool:
        """Ask whether the modem confirmed our key."""
        return self._key_set

    def has_runs(self) -> bool:
        """Ask whether any vehicle is being matched."""
        return any(run.state is not RunState.FREE for run in self.runs)

    # --- actions ---

    def drop_runs(self) -> None:
        """Forget all vehicles."""
        self._peer = None
        self._link_up = False
        for run in self.runs:
            run.drop()

    def change_key(self) -> None:
        """Give the modem a fresh random network."""
        self.nmk = self._rng(wire.NMK_LENGTH)
        self.nid = wire.nid_from_nmk(self.nmk)
        self._key_set = False
        self._why_no_key = ""
        self.out.append(SetModemKey(self.nid, self.nmk))

    def report_match(self) -> None:
        """Say who it is, and forget all others."""
        peer = self._peer
        if peer is None:
            return
        for run in self.runs:
            if run is not peer:
                run.drop()
        self.out.append(
            SlacMatched(peer.pev_mac, peer.run_id, self.nid, self.nmk, peer.attenuation_db)
        )

    def report_no_key(self) -> None:
        """Say that the modem has no network key."""
        why = self._why_no_key or f"no confirm within {timing.EVSE_WAIT_KEY_S:.0f} s"
        self.nid = b""
        self.out.append(SlacFailed(f"the own modem did not take its key: {why}"))

    def report_nobody(self) -> None:
        """Say that no vehicle matched."""
        if self._asked:
            reason = f"no vehicle completed matching ({self._asked} requests)"
        else:
            reason = "no vehicle asked for matching (no CM_SLAC_PARM.REQ)"
        self.out.append(SlacFailed(f"{reason} within {timing.TT_EVSE_SLAC_INIT_S:.0f} s"))
