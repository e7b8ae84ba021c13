"""What a codec costs before its first message: import time, and memory of all protocols.

Each import is in a fresh interpreter, with compiled modules as an installed program has them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

from controller.v2g.messages import din, iso2, iso20_common, iso20_dc
from tests.perf import exi_din, exi_iso2, exi_iso20
from tests.perf.children import ROOT, compiled
from tests.perf.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 9
IMPORT_MS = 40.0  # of one protocol; what else it imports included, as nothing else needs it before
MEMORY_MB = 25.0

_IMPORT = """\
from time import process_time
start = process_time()
from controller.v2g.messages.{module} import CODEC
imported = process_time()
CODEC.encode(CODEC.decode(bytes.fromhex("{payload}")))
print((imported - start) * 1e3, (process_time() - imported) * 1e3)
"""

_MEMORY = """\
import {stdlib}
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
start = resident()
from controller.v2g.messages import protocols
for name in protocols.PROTOCOLS:
    codec = protocols.codec(name)
    for type_ in codec.grammar.roots.values():
        codec._compiled._function("read", type_)
        codec._compiled._function("write", type_)
    codec.grammar.fragments
print(resident() - start)
"""
_STDLIB = (
    "base64, collections.abc, dataclasses, enum, functools, importlib, inspect, os, re, typing"
)


CASES = (
    ("din", din.CODEC.encode(exi_din.demand_req(Random(1), 0.5))),
    ("iso2", iso2.CODEC.encode(exi_iso2.demand_req(Random(1), 0.5))),
    ("iso20_dc", iso20_dc.CODEC.encode(exi_iso20.loop_req(Random(1), 0.5))),
    ("iso20_common", iso20_common.CODEC.encode(exi_iso20.schedule_res(Random(1), 0.5))),
)
"""Modules, and what they decode and encode first."""


def _run(program: str) -> list[float]:
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return [float(text) for text in ran.stdout.split()]


def bench(progress: Callable[[str], None]) -> list[Figure]:
    """Measure."""
    progress("import and memory")
    figures = []
    with compiled():
        for module, payload in CASES:
            program = _IMPORT.format(module=module, payload=payload.hex())
            _run(program)
            times = [_run(program) for _ in range(ROUNDS)]
            imported, first = (statistics.median(each) for each in zip(*times, strict=True))
            note = f"and {first:.1f} ms more to decode and encode the first message"
            figures.append(Figure(f"import of {module}", imported, "ms", IMPORT_MS, note=note))
        memory = statistics.median(
            _run(_MEMORY.format(stdlib=_STDLIB))[0] for _ in range(min(ROUNDS, 3))
        )
    note = "all code generated, standard library not counted"
    figures.append(Figure("memory of all protocols", memory, "MB", MEMORY_MB, note=note))
    return figures
