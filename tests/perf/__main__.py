"""`make bench`: the figures of this program on this machine, a line each; nothing is asserted.

Each figure is a ratio or stands beside a budget, all from one run. The exit code is 0 unless
something could not be measured: how fast a machine is, is no error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from tests.perf import bench_answer, bench_exi, bench_exi_iso20, bench_sim, bench_slac, bench_start
from tests.perf.figures import Figure

CODEC_RATIO = 1.5
Bench = Callable[[Callable[[str], None]], list[Figure]]


def codec(progress: Callable[[str], None]) -> list[Figure]:
    """The codec beside `json` with the same content."""
    progress("messages of the charge loop and the longest ones")
    return [
        Figure(
            f"{row.operation} of {row.message}",
            row.ratio,
            "x json",
            CODEC_RATIO,
            note=f"{row.exi_us:.1f} us, json {row.json_us:.1f} us",
        )
        for row in [*bench_exi.bench(), *bench_exi_iso20.bench()]
    ]


BENCHES: dict[str, Bench] = {
    "start": bench_start.bench,
    "codec": codec,
    "answer": bench_answer.bench,
    "sim": bench_sim.bench,
    "slac": bench_slac.bench,
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
