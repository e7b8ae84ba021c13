"""Rebuilds each SLAC frame of a capture with scapy's homepluggp layers; one line of JSON.

Run by the interpreter of an environment that has scapy. Layers built from what was dissected, with
nothing remembered of the bytes, must give the same bytes again; padding is left out.
"""

import json
import sys

from scapy.contrib import homepluggp
from scapy.contrib.homeplugav import HomePlugAV
from scapy.packet import Packet, Padding, Raw
from scapy.utils import rdpcap

KNOWN = {
    0x6008: homepluggp.CM_SET_KEY_REQ,
    0x6064: homepluggp.CM_SLAC_PARM_REQ,
    0x6065: homepluggp.CM_SLAC_PARM_CNF,
    0x606A: homepluggp.CM_START_ATTEN_CHAR_IND,
    0x6076: homepluggp.CM_MNBC_SOUND_IND,
    0x606E: homepluggp.CM_ATTEN_CHAR_IND,
    0x606F: homepluggp.CM_ATTEN_CHAR_RSP,
    0x607C: homepluggp.CM_SLAC_MATCH_REQ,
    0x607D: homepluggp.CM_SLAC_MATCH_CNF,
}


def rebuilt(body: bytes) -> bytes:
    packet = HomePlugAV(body)
    layer: Packet = packet
    whole: bytes = b""
    while layer and not isinstance(layer, Raw | Padding):
        layer.raw_packet_cache = None
        for value in layer.fields.values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Packet):
                    each.raw_packet_cache = None
        whole += layer.self_build()
        layer = layer.payload
    return whole


def main(path: str) -> None:
    counts: dict[str, int] = {}
    wrong: list[str] = []
    for frame in rdpcap(path):
        data = bytes(frame)
        kind = KNOWN.get(int.from_bytes(data[15:17], "little"))
        if data[12:14] != b"\x88\xe1" or kind is None:
            continue
        body = data[14:]
        again = rebuilt(body)
        counts[kind.__name__] = counts.get(kind.__name__, 0) + 1
        padded = len(again) <= len(body) and not any(body[len(again) :])
        if not (padded and again == body[: len(again)]) or kind not in HomePlugAV(body):
            wrong.append(f"{kind.__name__}: {body.hex()} became {again.hex()}")
    sys.stdout.write(json.dumps({"rebuilt": counts, "wrong": wrong}) + "\n")


main(sys.argv[1])
