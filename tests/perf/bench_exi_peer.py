"""The same messages with EXIficient (Java) through py4j, where `make interop` has installed it.

From XML to EXI and back, one call after another in a warm process: what a Python program pays that
has its codec there. The package `iso15118` goes through JSON besides, which takes longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.v2g.messages import protocols
from tests.interop import peer
from tests.interop.exi_oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.perf.bench_exi import Row

WARM_UP = 300
REPEAT = 150


def times(progress: Callable[[str], None], rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """Return microseconds by message and operation; nothing where it is not there."""
    if not peer.is_installed():
        progress("EXIficient is left out: `make interop` installs it, it needs Java")
        return {}
    found: dict[tuple[str, str], float] = {}
    with Oracle() as oracle:
        for row in rows:
            progress(f"EXIficient: {row.operation} of {row.message}")
            question: dict[str, object] = {"schema": row.protocol, "fragment": False}
            if row.operation == "decode":
                question["hex"] = row.sample.hex()
            else:
                codec = protocols.codec(row.protocol)
                question["xml"] = codec.to_xml(codec.decode(row.sample))
            if not found:
                oracle.ask(**question, repeat=WARM_UP)
            answer = oracle.ask(**question, repeat=REPEAT)
            found[row.message, row.operation] = float(answer["us"])
    return found
