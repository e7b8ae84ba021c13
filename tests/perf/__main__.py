"""`make bench`: the figures of this program on this machine, a line each; nothing is asserted.

Each figure is a ratio or stands beside a budget, all from one run. The exit code is 0 unless
something could not be measured: how fast a machine is, is no error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from tests.perf import (
    bench_answer,
    bench_exi,
    bench_exi_iso20,
    bench_exi_load,
    bench_exi_peer,
    bench_latency,
    bench_pigpiod,
    bench_sim,
    bench_slac,
    bench_start,
)
from tests.perf.figures import Figure

CODEC_RATIO = 1.5
LOOP_RATIO = 1.0
LOOP_WORDS = ("CurrentDemand", "ChargeLoop")
"""Messages of the charge loop: the codec must not take longer than json."""
Bench = Callable[[Callable[[str], None]], list[Figure]]


def codec(progress: Callable[[str], None]) -> list[Figure]:
    """The codec beside `json` with the same content, and beside EXIficient where it is."""
    progress("messages of the charge loop and the longest ones")
    rows = [*bench_exi.bench(), *bench_exi_iso20.bench()]
    peer = bench_exi_peer.times(progress, rows)
    figures = []
    for row in rows:
        note = f"{row.size} B {row.exi_us:.1f} us, json {row.json_us:.1f} us"
        other = peer.get((row.message, row.operation))
        if other is not None:
            note += f", EXIficient {other:.0f} us ({other / row.exi_us:.0f}x)"
        name = f"{row.operation} of {row.message}"
        limit = LOOP_RATIO if any(word in name for word in LOOP_WORDS) else CODEC_RATIO
        figures.append(Figure(name, row.ratio, "x json", limit, note=note))
    return [*figures, *bench_exi_load.bench(progress)]


BENCHES: dict[str, Bench] = {
    "start": bench_start.bench,
    "codec": codec,
    "answer": bench_answer.bench,
    "latency": bench_latency.bench,
    "sim": bench_sim.bench,
    "slac": bench_slac.bench,
    "pigpiod": bench_pigpiod.bench,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benches that are asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    names = parser.parse_args(argv).names or list(BENCHES)
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    failed = 0
    for name in names:
        failed += not _run(name, BENCHES[name])
    return 1 if failed else 0


def _run(name: str, bench: Bench) -> bool:
    try:
        figures = bench(lambda line: _progress(f"{name}: {line}"))
    except Exception as error:
        _progress("")
        sys.stdout.write(f"{name}: not measured: {error!r}\n")
        return False
    _progress("")
    for figure in figures:
        sys.stdout.write(figure.line() + "\n")
    sys.stdout.flush()
    return True


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
    elif line:
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
