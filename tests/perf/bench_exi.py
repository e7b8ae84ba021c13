"""Speed of the EXI codec beside `json` with the same content: `python -m tests.perf.bench_exi`.

Each message is one of a charge that goes on: currents and voltages wander, limits stay, times run
down. None is decoded twice, so that what the codec remembers helps as much as it does in reality.
Times are of the processor, so that other programs do not count.
"""

import json
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

from controller.v2g.exi.codec import Codec
from controller.v2g.messages import din, iso2
from tests.perf import exi_din, exi_iso2

ROUNDS = 15
MESSAGES = 200  # a round

Maker = Callable[[random.Random, float], Any]

CASES: list[tuple[str, Codec[Any], Maker]] = [
    ("din.CurrentDemandReq", din.CODEC, exi_din.demand_req),
    ("din.CurrentDemandReq minimal", din.CODEC, exi_din.demand_req_minimal),
    ("din.CurrentDemandRes", din.CODEC, exi_din.demand_res),
    ("din.CurrentDemandRes minimal", din.CODEC, exi_din.demand_res_minimal),
    ("iso2.CurrentDemandReq", iso2.CODEC, exi_iso2.demand_req),
    ("iso2.CurrentDemandReq minimal", iso2.CODEC, exi_iso2.demand_req_minimal),
    ("iso2.CurrentDemandRes", iso2.CODEC, exi_iso2.demand_res),
    ("iso2.CurrentDemandRes signed", iso2.CODEC, exi_iso2.demand_res_signed),
    ("iso2.CurrentDemandRes minimal", iso2.CODEC, exi_iso2.demand_res_minimal),
    ("iso2.SessionSetupRes", iso2.CODEC, exi_iso2.setup_res),
    ("iso2.ChargeParameterDiscoveryRes 24", iso2.CODEC, exi_iso2.parameter_res),
    ("iso2.CertificateInstallationRes", iso2.CODEC, exi_iso2.installation_res),
]


@dataclass(frozen=True, slots=True)
class Row:
    """Median time of one operation on one message, and its ratio to json's."""

    message: str
    size: int
    operation: str
    exi_us: float
    json_us: float
    protocol: str
    sample: bytes
    """One of the messages."""

    @property
    def ratio(self) -> float:
        """How many times as long as json."""
        return self.exi_us / self.json_us


def _microseconds(call: Callable[[Any], object], inputs: Sequence[object]) -> float:
    start = process_time()
    for each in inputs:
        call(each)
    return (process_time() - start) / len(inputs) * 1e6


def measure(name: str, codec: Codec[Any], make: Maker) -> list[Row]:
    """Measure one message, both ways."""
    rng = random.Random(1)
    times: dict[str, list[float]] = {}
    calls: dict[str, Callable[[Any], object]] = {
        "decode": codec.decode,
        "json.loads": json.loads,
        "encode": codec.encode,
        "json.dumps": json.dumps,
    }
    payloads: list[bytes] = []
    for number in range(ROUNDS):
        parts = [(number + i / MESSAGES) / ROUNDS for i in range(MESSAGES)]
        messages = [make(rng, part) for part in parts]
        views = [codec.to_json(message) for message in messages]
        payloads = [codec.encode(message) for message in messages]
        inputs: dict[str, Sequence[object]] = {
            "decode": payloads,
            "json.loads": [json.dumps(view) for view in views],
            "encode": messages,
            "json.dumps": views,
        }
        for key, call in calls.items():
            times.setdefault(key, []).append(_microseconds(call, inputs[key]))
    median = {key: statistics.median(each) for key, each in times.items()}
    size = round(statistics.mean(map(len, payloads)))
    sample = codec.name, payloads[-1]
    return [
        Row(name, size, "decode", median["decode"], median["json.loads"], *sample),
        Row(name, size, "encode", median["encode"], median["json.dumps"], *sample),
    ]


def bench() -> list[Row]:
    """Measure all messages."""
    return [row for case in CASES for row in measure(*case)]


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    for row in rows:
        print(  # noqa: T201 - a tool
            f"{row.message:34} {row.size:5} B  {row.operation}  {row.exi_us:7.2f} us"
            f"  json {row.json_us:7.2f} us  ratio {row.ratio:.2f}"
        )


def main() -> None:
    """Measure and print the table."""
    show(bench())


if __name__ == "__main__":
    main()
