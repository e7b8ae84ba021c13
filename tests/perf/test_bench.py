"""The benches run, with tiny sizes; how long anything takes is not looked at."""

from __future__ import annotations

import os

import pytest

from tests.interop import peer
from tests.perf import __main__ as perf
from tests.perf import (
    bench_answer,
    bench_exi,
    bench_exi_load,
    bench_exi_peer,
    bench_latency,
    bench_pigpiod,
    bench_sim,
    bench_slac,
    bench_start,
)
from tests.perf.figures import Figure, percentile

no_ipv6 = pytest.mark.skipif(
    not os.path.exists("/proc/net/if_inet6"), reason="IPv6 is switched off on this machine"
)


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("a", 3.0, "ms", 2.0), "over"),
        (Figure("a", 2.0, "ms", 2.0), "OK"),
        (Figure("a", 3.0, "s/s", 4.0, at_least=True), "under"),
        (Figure("a", 4.0, "s/s", 4.0, at_least=True), "OK"),
        (Figure("a", 4.0, "MiB"), ""),
    ],
)
def test_a_figure_says_how_it_stands(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict
    assert figure.line().split()[0] == "a"
    assert verdict in figure.line()


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert percentile(values, 99.0) == 100.0
    assert percentile(values, 50.0) == 51.0
    assert percentile([7.0], 99.0) == 7.0


def test_virtual_time() -> None:
    said: list[str] = []
    figures = bench_sim.bench(said.append, charge_s=5.0)
    assert all(figure.amount > 0.0 for figure in figures)
    assert figures[0].limit == 1000.0
    assert said


def test_a_session_that_is_cut_short_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_sim, "MEAN_POWER_W", 1_000.0)
    with pytest.raises(RuntimeError, match="not as wanted"):
        bench_sim.bench(charge_s=60.0)


def test_answers_of_the_core() -> None:
    assert len(bench_answer.core_times(20)) == 20


@no_ipv6
def test_answers_of_the_process() -> None:
    seen, measured, memory = bench_answer.process_times(20, lambda line: None)
    assert len(seen) == 20
    assert len(measured) == 20
    assert memory > 1.0


@no_ipv6
def test_start() -> None:
    figures = {figure.name: figure for figure in bench_start.bench(rounds=1)}
    driven = figures["controller: start to pilot driven (5 %)"]
    first = figures["  realtime process: start to its first command"]
    assert driven.amount >= first.amount > 0.0
    assert figures["  memory of evse-realtime after the start"].amount > 1.0


def test_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_exi, "ROUNDS", 1)
    monkeypatch.setattr(bench_exi, "MESSAGES", 2)
    monkeypatch.setattr(bench_exi_load, "ROUNDS", 1)
    monkeypatch.setattr(peer, "is_installed", lambda: False)
    said: list[str] = []
    figures = perf.codec(said.append)
    assert {figure.unit for figure in figures} == {"x json", "ms", "MB"}
    assert all(figure.amount > 0.0 for figure in figures)
    assert any("EXIficient is left out" in line for line in said)
    limits = {figure.name: figure.limit for figure in figures}
    assert limits["decode of din.CurrentDemandReq"] == 1.0
    assert limits["encode of iso20.DC_ChargeLoopRes"] == 1.0
    assert limits["import of iso20_dc"] == 40.0


def test_codec_beside_exificient(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        bench_exi.Row("m", 1, operation, 2.0, 1.0, "sap", bytes.fromhex("80400040"))
        for operation in ("decode", "encode")
    ]

    class Fake:
        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def ask(self, **question: object) -> dict[str, float]:
            return {"us": 7.0 if "xml" in question else 5.0}

    monkeypatch.setattr(peer, "is_installed", lambda: True)
    monkeypatch.setattr(bench_exi_peer, "Oracle", Fake)
    found = bench_exi_peer.times(lambda line: None, rows)
    assert found == {("m", "decode"): 5.0, ("m", "encode"): 7.0}


def test_exit_code_tells_what_could_not_be_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(progress: object) -> list[Figure]:
        raise RuntimeError("no clock")

    monkeypatch.setitem(perf.BENCHES, "start", broken)
    monkeypatch.setitem(perf.BENCHES, "codec", lambda progress: [Figure("slow", 9.0, "ms", 1.0)])
    assert perf.main(["codec"]) == 0
    assert "over" in capsys.readouterr().out
    assert perf.main(["codec", "start"]) == 1
    assert "start: not measured: RuntimeError('no clock')" in capsys.readouterr().out


REALTIME_NEEDS_NOT = ("controller.v2g.exi", "controller.sim", "controller.communication", "rich")


def test_the_realtime_process_imports_nothing_that_talks() -> None:
    import subprocess
    import sys

    code = "import sys, controller.process; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()
    assert "controller.realtime" in loaded
    assert not [m for m in loaded if m.startswith(REALTIME_NEEDS_NOT)]


def test_matches_in_virtual_time() -> None:
    result = bench_slac.virtual(4)
    assert (result.matches, result.linked, result.both_matched, result.one_sided) == (4, 4, 4, 0)
    result.add(bench_slac.some(range(4, 6)))
    assert (result.matches, len(result.times_s)) == (6, 6)
    assert result.cpu_s > 0.0


# --- lateness ------------------------------------------------------------------------------------

HISTOGRAM = """\
# Histogram
000001 000000
000010 000050
000020 000049
000900 000001
# Total: 000000100
# Max Latencies: 00900
"""


def test_cyclictests_histogram_is_read() -> None:
    assert bench_latency.percentiles(HISTOGRAM) == [10.0, 20.0, 900.0, 900.0]
    assert bench_latency.percentiles("") == []


def test_lateness_beside_cyclictest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_latency, "SECONDS", 0.05)
    monkeypatch.setattr(bench_latency, "ROUNDS", 1)
    monkeypatch.setattr(bench_latency, "PERIODS_US", (2000,))
    theirs = [10.0, 20.0, 30.0, 40.0]
    monkeypatch.setattr(bench_latency, "measure_cyclictest", lambda period_us: theirs)
    idle, busy = bench_latency.bench(lambda line: None)
    for figure in (idle, busy):
        assert figure.unit == "x p99"
        assert figure.limit == bench_latency.RATIO
        assert "cyclictest 10/20/30/40 us" in figure.note
    assert "busy codec" in busy.name


def test_hiccups_of_the_machine_are_neithers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The median of the rounds' ratios, and each begins every other time."""
    rounds = [
        ([20.0, 900.0, 0.0, 0.0], [20.0, 50.0, 0.0, 0.0]),
        ([20.0, 60.0, 0.0, 0.0], [20.0, 800.0, 0.0, 0.0]),
        ([20.0, 60.0, 0.0, 0.0], [20.0, 40.0, 0.0, 0.0]),
    ]
    assert bench_latency.middle(rounds) == rounds[2]
    assert bench_latency.in_ratio(rounds[2]) == 1.5
    assert bench_latency.in_ratio(([20.0, 60.0, 0.0, 0.0], [])) == 60.0
    turns: list[str] = []
    late_us = [1.0, 2.0, 3.0, 4.0]

    def ours(period_us: int) -> tuple[list[float], list[str]]:
        turns.append("ours")
        return late_us, []

    def theirs(period_us: int) -> list[float]:
        turns.append("theirs")
        return late_us

    monkeypatch.setattr(bench_latency, "measure_ours", ours)
    monkeypatch.setattr(bench_latency, "measure_cyclictest", theirs)
    for number in range(2):
        assert bench_latency.take_turns(1000, number) == (late_us, late_us)
    assert turns == ["ours", "theirs", "theirs", "ours"]


def test_lateness_without_cyclictest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert bench_latency.measure_cyclictest(1000) == []
    figure = bench_latency.figure("x", [1.0, 2.0, 3.0, 4.0], [], ["no SCHED_FIFO"])
    assert figure.limit is None
    assert "no cyclictest (apt: rt-tests)" in figure.line()
    assert "no SCHED_FIFO" in figure.line()


def test_commands_and_edges_of_the_simulated_daemon() -> None:
    command, watched = bench_pigpiod.bench(lambda line: None, commands=50, watch_s=0.3)
    assert command.amount > 0
    assert "edges a second" in watched.note
