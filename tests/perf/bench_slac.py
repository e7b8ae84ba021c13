"""SLAC: matches in virtual time with faults, and answer times over TAP: `-m tests.perf.bench_slac`.

The virtual part plugs a car in ten thousand times, with 5 % of the frames lost, 5 % repeated and
5 % late (past the next frames), each plug-in with its own seed, and counts those that end with a
link, and how often the two sides disagreed on the way. The real part lets our charger, a process
with a raw socket, answer over a TAP device; it needs root.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from controller import netns
from controller.plc import wire
from controller.plc.driver_tap import why_no_tap
from tests.interop.slac_wire import MACS, MODEM_MACS, NAMES, RealWire, is_kind
from tests.perf.figures import Figure, percentile
from tests.slac.plug import Plug, chance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.plc.layout import Mme

MATCHES = 10_000
PIECE = 500
FAULTS = 0.05
LIMIT_S = 150.0
ANSWERS = 200
PATIENCE_S = 5.0
ROOT = Path(__file__).resolve().parents[2]
CAR = bytes.fromhex("020000005199")
MODULE = "tests.perf.bench_slac"


@dataclass(slots=True)
class Virtual:
    """The results of plug-ins in virtual time."""

    matches: int = 0
    linked: int = 0
    both_matched: int = 0
    one_sided: int = 0
    """Ended with one side matched and the other not: must be 0."""
    misunderstandings: int = 0
    """Happened on the way (the last confirm was lost), and were resolved by the link."""
    steps: int = 0
    """Steps through state F."""
    cpu_s: float = 0.0
    times_s: list[float] = field(default_factory=list)
    """Plug to match, of those that matched."""

    def add(self, other: Virtual) -> None:
        """Put the results of another worker to these."""
        for name in (f.name for f in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def some(seeds: range, faults: float = FAULTS) -> Virtual:
    """Plug in once for each seed."""
    logging.getLogger("transitions").setLevel(logging.ERROR)
    plug = Plug(seed="bench")
    began = time.process_time()
    outcomes = [plug.session(chance(s, faults, faults, faults), LIMIT_S) for s in seeds]
    return Virtual(
        matches=len(outcomes),
        linked=sum(o.linked for o in outcomes),
        both_matched=sum(o.evse_matched and o.pev_matched for o in outcomes),
        one_sided=sum(o.evse_matched is not o.pev_matched for o in outcomes),
        misunderstandings=sum(o.misunderstandings for o in outcomes),
        steps=sum(o.steps for o in outcomes),
        cpu_s=time.process_time() - began,
        times_s=[o.matched_s for o in outcomes if o.pev_matched],
    )


def virtual(matches: int) -> Virtual:
    """Plug in so many times, on all processors."""
    total = Virtual()
    pieces = [range(at, min(at + PIECE, matches)) for at in range(0, matches, PIECE)]
    if len(pieces) == 1:
        return some(pieces[0])
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for result in pool.map(some, pieces):
            total.add(result)
    return total


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
    sys.stdout.write(
        json.dumps(
            {
                "CM_SLAC_PARM.REQ": [p for p, _ in times],
                "CM_SLAC_MATCH.REQ": [m for _, m in times],
            }
        )
    )


def real() -> dict[str, list[float]]:
    """Our charger's answer times over TAP in seconds; RuntimeError where it cannot be measured."""
    command = [sys.executable, "-m", MODULE, "--inside"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-200:])
    measured: dict[str, list[float]] = json.loads(done.stdout)
    return measured


def bench(progress: Callable[[str], None], matches: int = MATCHES) -> list[Figure]:
    """All figures of SLAC."""
    progress(f"{matches} plug-ins in virtual time with 5 % lost, repeated and late frames")
    v = virtual(matches)
    part = 100.0 * v.linked / v.matches
    ways = f"{v.misunderstandings} on the way, {v.steps} steps through F"
    slowest = f"slowest {max(v.times_s, default=0.0):.2f} s"
    figures = [
        Figure("SLAC with 5 % of each fault: linked", part, "%", 99.0, True, f"of {v.matches}"),
        Figure("  ended with one side matched", float(v.one_sided), "", 0.0, note=ways),
        Figure("  plug to match, median", median(v.times_s), "s", note=slowest),
        Figure("  matches per CPU second", v.matches / v.cpu_s, "/s", note="9 s of rest each"),
    ]
    reason = "needs root" if os.geteuid() != 0 else why_no_tap()
    if reason:
        progress(f"answer times over TAP are skipped: {reason}")
        return figures
    progress("answer times over TAP")
    for key, times in real().items():
        ms = [t * 1e3 for t in times]
        note = f"p99 {percentile(ms, 99.0):.2f} ms of {len(ms)}"
        figures.append(Figure(f"answer to {key} over TAP", median(ms), "ms", 100.0, note=note))
    return figures


def main(arguments: Sequence[str] = ()) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--matches", type=int, default=MATCHES)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        inside()
        return
    for figure in bench(lambda line: None, options.matches):
        print(figure.line())  # noqa: T201 - a tool


if __name__ == "__main__":
    main(sys.argv[1:])
