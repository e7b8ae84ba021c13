"""SLAC at the charger: find out which vehicle is at the other end of our cable, and join it.

Every vehicle in earshot broadcasts its requests. All are answered (`askers`); who then sounds gets
a run of its own (`evse_run`), and the choice is left to the vehicle: it takes the charger that
heard it best. The first run that gets as far as its match request is our vehicle.

The modem has a fresh random network key before each plug-in: it is set at the start and whenever a
vehicle leaves (`StopSlac`), not at plug-in, because the modem restarts with it and would be deaf
while the vehicle asks. A vehicle that comes sooner waits in WAIT_KEY. Changing the key is also how
the charger leaves the network (TP_match_leave, D-LINK_TERMINATE).

After the match repeated match requests are answered again (our confirm may be lost), and the same
vehicle may begin again until the link is up; everybody else is ignored, so that a second car at the
neighbouring outlet cannot disturb a session.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from controller.machine import row
from controller.plc import wire
from controller.router import earliest
from controller.signals import (
    BcbToggled,
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    PilotChanged,
    SendFrame,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.slac import attenuation, timing
from controller.slac.amp_map import AmplitudeMap
from controller.slac.askers import Askers, Key
from controller.slac.core import Rejection, SlacCore
from controller.slac.evse_run import EvseRun, RunState
from controller.slac.toggles import PilotToggles

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plc.layout import Mme

RUNS = timing.C_EVSE_MATCH_PARALLEL + 3
ASKED = "vehicle asked for parameters"


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
    """The charger's core: `mac` is the own interface's, `rng(n)` gives n random bytes.

    `fallback_profile` is reported when the modem measures nothing, `receive_path_db` subtracted
    from what it measures; `amplitude_map` is sent once the link is up, if there is one.
    """

    TABLE = TABLE
    INITIAL = S.START
    DEADLINE_S: ClassVar = {
        S.WAIT_KEY: timing.EVSE_WAIT_KEY_S,
        S.WAITING: timing.TT_EVSE_SLAC_INIT_S,
        S.LAST_RUN: timing.EVSE_LAST_SESSION_S,
    }
    ENDLESS = (S.START, S.UNPLUGGED, S.MATCHED, S.FAILED)
    TAKES = frozenset(
        (
            wire.CmSlacParmReq,
            wire.CmStartAttenCharInd,
            wire.CmMnbcSoundInd,
            wire.CmAttenProfileInd,
            wire.CmAttenCharRsp,
            wire.CmValidateReq,
            wire.CmSlacMatchReq,
            wire.CmAmpMapReq,
            wire.CmAmpMapCnf,
        )
    )

    def __init__(
        self,
        mac: bytes,
        rng: Callable[[int], bytes],
        fallback_profile: bytes = attenuation.FALLBACK_PROFILE,
        amplitude_map: bytes = b"",
        receive_path_db: float = 0.0,
    ) -> None:
        super().__init__(mac)
        self._rng = rng
        self.nid = b""
        self.nmk = b""
        self._key_set = False
        self._link_up = False
        self._modem_mac = b""
        self._peer: EvseRun | None = None
        self._why_no_key = ""
        self._asked = 0
        self.askers = Askers()
        self.toggles = PilotToggles()
        self.map = AmplitudeMap(mac, amplitude_map)
        self.runs = [
            EvseRun(mac, fallback_profile, self.toggles, receive_path_db) for _ in range(RUNS)
        ]
        self._deadline_at = 0.0  # the first handle_timer sets the first key
        self._next_at: float | None = None
        self._next_known = False

    # --- verbs ---

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame from the link; frames of foreign runs are ignored."""
        self.now = now
        rx = self.accept(frame)
        if rx is None:
            return self.drain()
        self._next_known = False
        if not self._listens(rx.mme):
            self.reject(Rejection.OUT_OF_TURN)
            return self.drain()
        self.rx = rx
        match rx.mme:
            case wire.CmSlacParmReq():
                self._take_parm_req(rx)
            case wire.CmStartAttenCharInd(run_id=run_id):
                self._take_start(rx, (rx.src, run_id))
            case wire.CmAmpMapReq() | wire.CmAmpMapCnf():
                self._take_map(rx)
            case _:
                self._take_run_frame(rx)
        self._check_runs()
        return self.finish()

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take StartSlac, StopSlac, the pilot, and what the modem core and its link report."""
        self.now, self._next_known = now, False
        match signal:
            case StartSlac():
                self._asked = 0
                self.start()
            case StopSlac():
                self.stop()
            case PilotChanged() | BcbToggled():
                self.toggles.receive_signal(signal, now)
            case ModemKeySet(nid=nid) if nid == self.nid:
                self._key_set = True
                self.key_set()
            case ModemFailed(reason=reason) if not self._key_set:
                self._why_no_key = reason
                self.nid = b""
                self.key_failed()
            case ModemFound(mac=mac):
                self._modem_mac = mac
                self.modem_found()
            case LinkChanged(up=up):
                self._note_link(up)
            case _:
                pass
        return self.finish()

    def handle_timer(self, now: float) -> list[Output]:
        """Let the deadlines of the state, of the runs and of the map pass."""
        self.out = super().handle_timer(now)
        self.now, self._next_known = now, False
        for run in self.runs:
            self.out.extend(run.handle_timer(now))
        self.out.extend(self.map.handle_timer(now))
        self.askers.handle_timer(now)
        self._check_runs()
        return self.finish()

    def next_timer(self) -> float | None:
        """Earliest deadline of the state, of the runs, of the map and of who asked."""
        if not self._next_known:  # it is asked for far more often than anything happens here
            self._next_known = True
            times = [run.next_timer() for run in self.runs]
            self._next_at = earliest(
                [self._deadline_at, *times, self.map.next_timer(), self.askers.next_timer()]
            )
        return self._next_at

    @property
    def phase(self) -> str:
        """The state; while waiting, how far the most advanced run is."""
        if self.state in (S.WAITING, S.LAST_RUN):
            order = list(RunState)
            best = max((run.state for run in self.runs), key=order.index)
            if best is not RunState.FREE:
                return str(best.value)
            if len(self.askers):
                return ASKED
        return str(self.state.value)

    # --- frames ---

    def _listens(self, mme: Mme) -> bool:
        """Ask whether SLAC runs now; once the link is up only the amplitude map is left of it."""
        if self._link_up and self.state is S.MATCHED:
            return isinstance(mme, wire.CmAmpMapReq | wire.CmAmpMapCnf)
        return self.state in (S.WAITING, S.LAST_RUN, S.MATCHED)

    def _take_parm_req(self, rx: wire.Frame) -> None:
        """Answer with 10 sounds in 600 ms, as every charger of the field; a run comes later."""
        mme: wire.CmSlacParmReq = self.rx.mme
        if mme.application_type or mme.security_type:
            text = (
                f"CM_SLAC_PARM.REQ of {rx.src.hex(':')} asks for application "
                f"{mme.application_type} security {mme.security_type}; only 0 and 0 exist here"
            )
            self.reject(Rejection.SECURED, text)
            return
        if not self._may_begin(rx.src):
            self.reject(Rejection.OUT_OF_TURN)
            return
        self._asked += 1
        if not self.askers.ask((rx.src, mme.run_id), self.now):
            self.reject(Rejection.CROWDED)
        cnf = wire.CmSlacParmCnf(forwarding_sta=rx.src, run_id=mme.run_id)
        self.out.append(SendFrame(wire.build(rx.src, self.mac, cnf)))

    def _may_begin(self, pev_mac: bytes) -> bool:
        if self.state is S.MATCHED:
            known = self._peer is not None and pev_mac == self._peer.pev_mac
            return known and not self._link_up
        return self.state is S.WAITING

    def _take_start(self, rx: wire.Frame, key: Key) -> None:
        sounding = any(run.key == key and run.state is RunState.SOUNDING for run in self.runs)
        if not self.askers.start(key, self.now) and not sounding:
            self.reject(Rejection.FOREIGN_RUN)

    def _take_run_frame(self, rx: wire.Frame) -> None:
        mme = rx.mme
        if isinstance(mme, wire.CmAttenProfileInd) and self._modem_mac not in (b"", rx.src):
            self.reject(Rejection.FOREIGN_MODEM)
            return
        runs = [run for run in self.runs if run.is_for(rx)]
        if isinstance(mme, wire.CmMnbcSoundInd):
            runs = self._sounding(runs, (rx.src, mme.run_id))
        elif isinstance(mme, wire.CmValidateReq):  # without RunID: the vehicle's last try
            runs = sorted(runs, key=lambda run: run.started_at)[-1:]
        if not runs:
            self.reject(Rejection.FOREIGN_RUN)
        for run in runs:
            self._give(run, rx)

    def _give(self, run: EvseRun, rx: wire.Frame) -> None:
        was_matched = run.state is RunState.MATCHED
        run.pilot_taken = any(
            other.state is RunState.VALIDATING and other.pev_mac != run.pev_mac
            for other in self.runs
        )
        out = run.receive(rx, self.now)
        self.out.extend(out)
        if isinstance(rx.mme, wire.CmSlacMatchReq) and not out:
            self._reject_match(rx.mme, run)
        if run.state is RunState.MATCHED and not was_matched:
            self._peer = run
            self.matched()

    def _reject_match(self, mme: wire.CmSlacMatchReq, run: EvseRun) -> None:
        if run.state is RunState.SOUNDING:
            self.reject(Rejection.OUT_OF_TURN)
            return
        text = (
            f"CM_SLAC_MATCH.REQ of {run.pev_mac.hex(':')} names the vehicle "
            f"{mme.pev_mac.hex(':')}, the charger {mme.evse_mac.hex(':')} and "
            f"{mme.mvf_length} bytes"
        )
        self.reject(Rejection.BAD_MATCH, text)

    def _take_map(self, rx: wire.Frame) -> None:
        out = self.map.receive(rx, self.now) if self._link_up else None
        if out is not None:
            self.out.extend(out)
        elif self._link_up and rx.src == self.map.peer:
            self.reject(Rejection.BAD_MAP)
        else:
            self.reject(Rejection.OUT_OF_TURN)

    # --- runs ---

    def _sounding(self, runs: list[EvseRun], key: Key) -> list[EvseRun]:
        """Find or open the run of a sound; the vehicle has asked for it before."""
        asker = self.askers.find(key, self.now)
        if runs and (runs[0].state is RunState.SOUNDING or asker is None):
            return runs
        if asker is None or (runs and asker.started_at is None):
            return runs
        run = runs[0] if runs else self._free_run()
        if run is None:
            self.reject(Rejection.CROWDED)
            return []
        started_at = self.now if asker.started_at is None else asker.started_at
        self.askers.forget(key)
        run.open(key, self.nid, self.nmk, started_at, self.now)
        return [run]

    def _free_run(self) -> EvseRun | None:
        """Find a free run, or take that of the vehicle that was heard worst and does not match."""
        free = [run for run in self.runs if run.state is RunState.FREE]
        if free:
            return free[0]
        idle = [run for run in self.runs if run.state is RunState.WAIT_MATCH]
        return max(idle, key=lambda run: run.attenuation_db, default=None)

    def _check_runs(self) -> None:
        if self.state is S.LAST_RUN and not self.has_runs():
            self.runs_ended()

    def _note_link(self, up: bool) -> None:
        self._link_up = up
        if up and self.state is S.MATCHED and self._peer is not None:
            self.out.extend(self.map.begin_with(self._peer.pev_mac, self.now))

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
        """Ask whether any vehicle is being matched, or about to sound."""
        if any(run.state is not RunState.FREE for run in self.runs):
            return True
        return len(self.askers) > 0

    # --- actions ---

    def drop_runs(self) -> None:
        """Forget all vehicles."""
        self._peer = None
        self._link_up = False
        self.askers.clear()
        self.map.end()
        self.report_anew()
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
        self.askers.clear()
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
        self.out.append(
            SlacFailed(f"{reason} within {timing.TT_EVSE_SLAC_INIT_S:.0f} s", begun=self._asked > 0)
        )
