"""Speed of the ISO 15118-20 codecs beside `json`: `python -m tests.perf.bench_exi_iso20`.

As `bench_exi`, with a message every 0.2 s of a charge of ten minutes.
"""

from typing import Any

from controller.v2g.exi.codec import Codec
from controller.v2g.messages import iso20_common as common
from controller.v2g.messages import iso20_dc as dc
from tests.perf import exi_iso20
from tests.perf.bench_exi import Maker, Row, measure, show

CASES: list[tuple[str, Codec[Any], Maker]] = [
    ("iso20.DC_ChargeLoopReq minimal", dc.CODEC, exi_iso20.loop_req_scheduled),
    ("iso20.DC_ChargeLoopReq", dc.CODEC, exi_iso20.loop_req),
    ("iso20.DC_ChargeLoopRes", dc.CODEC, exi_iso20.loop_res),
    ("iso20.DC_ChargeLoopRes with meter", dc.CODEC, exi_iso20.loop_res_full),
    ("iso20.ScheduleExchangeRes 24+24", common.CODEC, exi_iso20.schedule_res),
]


def bench() -> list[Row]:
    """Measure the messages of the DC charge loop, and a schedule."""
    return [row for case in CASES for row in measure(*case)]


if __name__ == "__main__":
    show(bench())
