"""The communication process under attack, for `bench_latency`: decodes and encodes without pause.

At the niceness of the real one, where that is allowed, until it is killed.
"""

from __future__ import annotations

import random
import sys

from controller.loop import come_early
from controller.service_communication import NICE
from controller.v2g.messages import din
from tests.perf.exi_din import demand_req


def main() -> int:
    """Never end by itself."""
    come_early(NICE)
    payload = din.CODEC.encode(demand_req(random.Random(1), 0.5))
    while True:
        payload = din.CODEC.encode(din.CODEC.decode(payload))


if __name__ == "__main__":
    sys.exit(main())
