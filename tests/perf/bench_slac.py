"""SLAC: matches in virtual time with faults, and answer times over TAP: `-m tests.perf.bench_slac`.

The virtual part plugs a car in ten thousand times, with 5 % of the frames lost, 5 % repeated and
5 % late (past the next frames), each plug-in with its own seed, and counts those that end with a
link, and how often the two sides disagreed on the way. The real part lets our charger, a process
with a raw socket, answer over a TAP device; it needs root.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller import netns
from controller.plc import wire
from controller.plc.driver_tap import why_no_tap
from controller.plc.layout import Mme
from tests.interop.slac_wire import MACS, MODEM_MACS, NAMES, RealWire, is_kind
from tests.slac.plug import Plug, chance

MATCHES = 10_000
QUICK_MATCHES = 500
FAULTS = 0.05
LIMIT_S = 150.0
ANSWERS = 200
PATIENCE_S = 5.0
ROOT = Path(__file__).resolve().parents[2]
CAR = bytes.fromhex("020000005199")


@dataclass(frozen=True, slots=True)
class Virtual:
    """The result of the plug-ins in virtual time."""

    matches: int
    linked: int
    both_matched: int
    one_sided: int
    """Ended with one side matched and the other not: must be 0."""
    misunderstandings: int
    """Happened on the way (the last confirm was lost), and were resolved by the link."""
    steps: int
    matched_median_s: float
    matched_slowest_s: float
    per_second: float


def virtual(matches: int, faults: float = FAULTS) -> Virtual:
    """Plug in so many times."""
    logging.getLogger("transitions").setLevel(logging.ERROR)
    plug = Plug(seed="bench")
    began = time.perf_counter()
    seeds = range(matches)
    outcomes = [plug.session(chance(s, faults, faults, faults), LIMIT_S) for s in seeds]
    took_s = time.perf_counter() - began
    times = sorted(o.matched_s for o in outcomes if o.pev_matched)
    return Virtual(
        matches=matches,
        linked=sum(o.linked for o in outcomes),
        both_matched=sum(o.evse_matched and o.pev_matched for o in outcomes),
        one_sided=sum(o.evse_matched is not o.pev_matched for o in outcomes),
        misunderstandings=sum(o.misunderstandings for o in outcomes),
        steps=sum(o.steps for o in outcomes),
        matched_median_s=statistics.median(times),
        matched_slowest_s=times[-1],
        per_second=matches / took_s,
    )


class _Car:
    """A car without a modem: its frames go into the charger's TAP device as they are."""

    def __init__(self, link: RealWire) -> None:
        self.link = link
        self.run_id = bytes(8)

    def say(self, mme: Mme, src: bytes = CAR, dst: bytes = MACS[0]) -> None:
        self.link.taps[0].send(wire.build(dst, src, mme))

    def ask(self, mme: Mme, answer: type[Mme]) -> float:
        """Send a request; the seconds until its answer comes out of the device."""
        self.link.seen.clear()
        began = time.monotonic()
        self.say(mme)
        self.wait_for(answer)
        return time.monotonic() - began

    def wait_for(self, kind: type[Mme]) -> None:
        """Wait for an answer of this run: what comes out of the device, not what crosses."""

        def is_there() -> bool:
            return any(s.sent and is_kind(s.frame, kind) for s in self.link.seen)

        if not self.link.pump(is_there, PATIENCE_S):
            raise TimeoutError(f"run {self.run_id.hex()}: no {kind.NAME} within {PATIENCE_S:g} s")

    def match(self, number: int) -> tuple[float, float]:
        """One run; how long the answers to its two requests took."""
        self.run_id = number.to_bytes(8, "big")
        parm_s = self.ask(wire.CmSlacParmReq(run_id=self.run_id), wire.CmSlacParmCnf)
        self.say(wire.CmStartAttenCharInd(forwarding_sta=CAR, run_id=self.run_id))
        profile = wire.CmAttenProfileInd(pev_mac=CAR, attenuation=bytes([15]) * wire.GROUPS)
        for countdown in range(9, -1, -1):
            random = bytes([countdown]) * 16
            self.say(wire.CmMnbcSoundInd(countdown=countdown, run_id=self.run_id, random=random))
            self.say(profile, MODEM_MACS[0], wire.BROADCAST)
        self.wait_for(wire.CmAttenCharInd)
        self.say(wire.CmAttenCharRsp(source_address=CAR, run_id=self.run_id))
        request = wire.CmSlacMatchReq(pev_mac=CAR, evse_mac=MACS[0], run_id=self.run_id)
        return parm_s, self.ask(request, wire.CmSlacMatchCnf)


def inside() -> None:
    """Measure in a network of our own, and write the seconds as JSON."""
    netns.enter()
    netns.quieten()
    link = RealWire("bench")
    command = [sys.executable, "-m", "tests.interop.slac_side", "evse", NAMES[0]]
    charger = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        link.pump(lambda: link.first(wire.CmSetKeyReq) is not None, PATIENCE_S)
        link.pump(lambda: False, 0.5)
        car = _Car(link)
        times = [car.match(number) for number in range(ANSWERS)]
    finally:
        charger.kill()
        charger.wait()
        link.close()
    sys.stdout.write(json.dumps({"parm": [p for p, _ in times], "match": [m for _, m in times]}))


def real() -> list[str]:
    """Lines on our charger's answer times over TAP."""
    reason = "needs root" if os.geteuid() != 0 else why_no_tap()
    if reason:
        return [f"answer times over TAP: skipped: {reason}"]
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else MODULE, "--inside"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"answer times over TAP: FAILED: {done.stderr.strip()[-200:]}"]
    measured: dict[str, list[float]] = json.loads(done.stdout)
    lines = []
    for name, key in (("CM_SLAC_PARM.REQ", "parm"), ("CM_SLAC_MATCH.REQ", "match")):
        times = sorted(measured[key])
        p99 = times[int(len(times) * 0.99) - 1]
        lines.append(
            f"answer to {name} over TAP: median {statistics.median(times) * 1e3:.2f} ms, "
            f"p99 {p99 * 1e3:.2f} ms (budget 100 ms, {len(times)} answers)"
        )
    return lines


MODULE = "tests.perf.bench_slac"


def lines(matches: int = MATCHES) -> list[str]:
    """All figures, for printing."""
    v = virtual(matches)
    return [
        f"{v.matches} plug-ins with {FAULTS:.0%} lost, repeated, late: {v.linked} linked, "
        f"{v.both_matched} matched on both sides, {v.one_sided} on one side only",
        f"  on the way {v.misunderstandings} one-sided matches, resolved by the link; "
        f"{v.steps} steps through F",
        f"  plug to match: median {v.matched_median_s:.2f} s, slowest {v.matched_slowest_s:.2f} s",
        f"  {v.per_second:.0f} matches per second in virtual time",
        *real(),
    ]


def main(arguments: Sequence[str] = ()) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--matches", type=int, default=MATCHES)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        inside()
        return
    for line in lines(options.matches):
        print(line)  # noqa: T201 - a tool


if __name__ == "__main__":
    main(sys.argv[1:])
