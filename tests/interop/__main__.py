"""`python -m tests.interop`: sessions with the PyPI package `iso15118`, and a verdict on each.

A run that the peer spoils by itself is repeated, and said. Who spoiled it is read from the link,
not from the logs: a car that gives up although the answer was there in time, or a charger that
answers too late.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.interop import exi_oracle, modem, netns, peer, slac
from tests.interop.session import Role, Setup, Verdict, run_session

TITLES = {
    Role.EVCC: "the EVCC of iso15118 at our charger",
    Role.SECC: "our car at the SECC of iso15118",
    Role.BOTH: "the EVCC of iso15118 at its own SECC (nothing of ours)",
}


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    roles = _roles(options)
    reason = netns.obstacle()
    try:
        if reason is None:
            peer.prepare(say)
    except peer.Unavailable as unavailable:
        reason = str(unavailable)
    if reason is not None:
        say(f"0 passed, 0 failed, {len(roles)} skipped: {reason}")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="ccs-interop-"))
    setup = Setup(folder, stock_secc=options.stock_secc, charge_loops=options.loops)
    failed = 0
    try:
        for number, role in enumerate(roles, 1):
            say(f"[{number}/{len(roles)}] {TITLES[role]}")
            failed += not _passes(role, setup, options.attempts)
    finally:
        if failed or options.keep:
            say(f"logs of both sides and captures: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    say(f"{len(roles) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _passes(role: Role, setup: Setup, attempts: int) -> bool:
    for attempt in range(1, attempts + 1):
        result = run_session(role, setup, attempt)
        for line in result.facts:
            say(f"      {line}")
        if result.verdict is Verdict.PASSED:
            say(f"      PASSED: {result.summary}")
            return True
        if result.verdict is Verdict.FAILED:
            say(f"      FAILED: {result.summary}")
            return False
        say(f"      attempt {attempt} of {attempts} spoiled by the peer itself: {result.summary}")
    say(f"      FAILED: the peer spoiled all {attempts} attempts")
    return False


def _roles(options: argparse.Namespace) -> list[Role]:
    if options.peer_only:
        return [Role.BOTH]
    return [Role(options.only)] if options.only else [Role.EVCC, Role.SECC]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--only", choices=("evcc", "secc"), help="which side the peer plays")
    parser.add_argument("--peer-only", action="store_true", help="the peer on both sides")
    parser.add_argument("--stock-secc", action="store_true", help="its SECC as it is: 1 V for ever")
    parser.add_argument("--attempts", type=int, default=5, help="when the peer spoils a run")
    parser.add_argument("--loops", type=int, default=10, help="the peer's EVCC: charge loop turns")
    parser.add_argument("--keep", action="store_true", help="keep logs and captures of good runs")
    return parser.parse_args(arguments)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End once, in order: a second signal must not interrupt the cleaning up."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _interrupt)
    try:
        words = sys.argv[1:]
        codes = [main(words), modem.run(words, say), 0 if words else slac.run(say)]
        codes.append(0 if words else exi_oracle.run(say))
        sys.exit(max(codes))
    except KeyboardInterrupt:
        say("interrupted; namespaces and processes are removed")
        sys.exit(130)
