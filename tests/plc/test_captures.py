"""Every HomePlug frame of the public captures is parsed, and the known ones build again."""

from __future__ import annotations

import gzip
import io
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import dpkt
import pytest

from controller.plc import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(os.environ.get("CCS_PILOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
CAPTURES = sorted((SHARED / "captures").rglob("*.pcap*"))
ETHERNET = 1

needs_captures = pytest.mark.skipif(
    not CAPTURES, reason=f"no captures in {SHARED / 'captures'} (set CCS_PILOT_SHARED)"
)


def homeplug_frames(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    reader = dpkt.pcap.UniversalReader(io.BytesIO(data))
    if reader.datalink() != ETHERNET:
        return
    try:
        for _, frame in reader:
            if wire.is_homeplug(frame):
                yield frame
    except dpkt.NeedData:  # a capture that ends within its last packet
        return


@needs_captures
def test_every_frame_parses_and_builds_again() -> None:
    names: Counter[str] = Counter()
    for path in CAPTURES:
        for frame in homeplug_frames(path):
            parsed = wire.parse(frame)
            names[parsed.mme.name] += 1
            assert wire.describe(parsed.mme)
            again = wire.build(parsed.dst, parsed.src, parsed.mme, parsed.mmv)
            assert wire.parse(again) == parsed, f"{path.name}: {frame.hex()}"
    assert names["CM_SLAC_MATCH.CNF"] >= 60
    assert names["CM_MNBC_SOUND.IND"] >= 600
    assert names["VS_SW_VER.CNF"] >= 30


@needs_captures
def test_keys_of_real_modems_are_confirmed_with_one() -> None:
    results: Counter[int] = Counter()
    for path in CAPTURES:
        for frame in homeplug_frames(path):
            mme = wire.parse(frame).mme
            if isinstance(mme, wire.CmSetKeyCnf):
                results[mme.result] += 1
    assert results[wire.KEY_ACCEPTED] > 0.99 * results.total() > 100
