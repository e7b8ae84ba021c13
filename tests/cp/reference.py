"""The charger's pilot once more, slow and plain: everything from the whole history, each time anew.

Nothing is shared with the package, not even the figures. Where the package keeps a few variables
and leaves early, this goes through all readings from the first one.
"""

from __future__ import annotations

from dataclasses import dataclass

BANDS = (("A", 11.0, 13.0), ("B", 8.0, 10.0), ("C", 5.0, 7.0), ("D", 2.0, 4.0), ("E", -1.0, 2.0))
F_BAND = (-13.0, -11.0)
LESS = {"AB": "B", "BC": "B", "CD": "D", "EF": "E"}
"""Between two bands, coming from neither: the one that permits less."""
AGREE_S, UNSTEADY_S, DIODE_FAULT_S, SETTLE_S = 0.004, 0.025, 0.009, 0.020
TINY = 1e-9


@dataclass(frozen=True)
class Reading:
    """One reading, and what was driven then and since when."""

    at: float
    high_v: float
    low_v: float
    duty: float
    driven_since: float


@dataclass
class Verdict:
    """What is to be believed after a history."""

    letter: str = ""
    diode_ok: bool = False
    diode_fault: bool = False
    glitches: int = 0
    power_since: float | None = None


def letter_of(volts: float, before: str) -> str:
    """Return the letter of a voltage."""
    for letter, low, high in BANDS:
        if low <= volts <= high:
            return letter
    if F_BAND[0] <= volts <= F_BAND[1]:
        return "F"
    for pair, low, high in (
        ("AB", 10.0, 11.0),
        ("BC", 7.0, 8.0),
        ("CD", 4.0, 5.0),
        ("EF", -11.0, -1.0),
    ):
        if low < volts < high:
            return before if before and before in pair else LESS[pair]
    return "E"


def judge(history: list[Reading]) -> Verdict:
    """Go through all readings."""
    verdict = Verdict()
    doubt: list[tuple[float, str]] = []  # readings since the letter was certain
    certain_at = 0  # index of the reading with which the letter changed last
    letters: list[str] = []
    for index, reading in enumerate(history):
        if _gave_up(verdict, doubt, reading.at):
            others = [letter for _, letter in doubt if letter != verdict.letter]
            at = doubt[0][0] + UNSTEADY_S
            _believe(verdict, others[-1], at)
            doubt, certain_at = [], index
        letter = letter_of(reading.high_v, verdict.letter)
        letters.append(letter)
        if doubt or letter != verdict.letter:
            if doubt and doubt[-1][1] not in (letter, verdict.letter):
                verdict.glitches += 1
            doubt.append((reading.at, letter))
            settled = _settled(verdict.letter, doubt, reading.at)
            if settled:
                if settled != verdict.letter:
                    _believe(verdict, settled, reading.at)
                    certain_at = index
                doubt = []
        _judge_diode(verdict, history[: index + 1], letters, certain_at)
    return verdict


def _believe(verdict: Verdict, letter: str, at: float) -> None:
    if letter in "CD":
        if verdict.letter not in ("C", "D"):
            verdict.power_since = at
    else:
        verdict.power_since = None
    verdict.letter = letter
    if letter == "A":
        verdict.diode_ok = verdict.diode_fault = False


def _gave_up(verdict: Verdict, doubt: list[tuple[float, str]], now: float) -> bool:
    """Say whether C or D ended for want of a reading before this one."""
    if verdict.letter not in ("C", "D") or not doubt or doubt[-1][1] == verdict.letter:
        return False
    return doubt[-1][1] != "C" and now >= doubt[0][0] + UNSTEADY_S


def _settled(believed: str, doubt: list[tuple[float, str]], now: float) -> str:
    """Return the letter that is certain now, or nothing."""
    newest = doubt[-1][1]
    run = 0
    while run < len(doubt) and doubt[-1 - run][1] == newest:
        run += 1
    if now - doubt[-run][0] >= AGREE_S:
        return newest
    others = [letter for _, letter in doubt if letter != believed]
    long = now >= doubt[0][0] + UNSTEADY_S
    if believed in ("C", "D") and long and others and others[-1] != "C":
        return others[-1]
    return ""


def _judge_diode(
    verdict: Verdict, history: list[Reading], letters: list[str], certain_at: int
) -> None:
    now = history[-1]
    if verdict.diode_fault or verdict.letter not in ("B", "C", "D"):
        return
    for good, needed_s in ((True, AGREE_S), (False, DIODE_FAULT_S)):
        since = None
        for index in range(len(history) - 1, certain_at - 1, -1):
            reading = history[index]
            counts = (
                reading.driven_since == now.driven_since
                and 0.0 < reading.duty < 1.0
                and reading.at >= reading.driven_since + SETTLE_S
                and letters[index] in "BCD"
                and (F_BAND[0] <= reading.low_v <= F_BAND[1]) is good
            )
            if not counts:
                break
            since = reading.at
        if since is not None and now.at - since >= needed_s:
            verdict.diode_ok, verdict.diode_fault = good, not good
