"""What the listener shows: one entry an event, and names for the stations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.plc import wire

if TYPE_CHECKING:
    from controller.netframes import Endpoint

NAMED_LIMIT = 1024
"""Stations whose names are kept."""

Details = dict[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the conversation."""

    at_ns: int
    layer: str
    """`homeplug`, `sdp`, `tcp` or `v2g`."""
    source: str
    destination: str
    tag: str
    """Short name of the layer or protocol for people."""
    text: str
    details: Details = field(default_factory=dict)
    """What `--json` shows besides."""


class Roles:
    """Names for the stations by what they do: `car`, `charger`, and `car 2` for the next one."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._count: dict[str, int] = {}

    def learn(self, role: str, station: bytes) -> str:
        """Note what a station is, and return its name; what it was first, it stays."""
        name = self._names.get(station)
        if name is None:
            number = self._count[role] = self._count.get(role, 0) + 1
            name = role if number == 1 else f"{role} {number}"
            if len(self._names) < NAMED_LIMIT:
                self._names[station] = name
        return name

    def learn_endpoint(self, role: str, endpoint: Endpoint, other: Endpoint) -> str:
        """The same for an IP station; two ends on one host are told apart by role alone."""
        if endpoint.ip == other.ip or endpoint.ip[0] == 0xFF:
            return role
        return self.learn(role, _station(endpoint))

    def name(self, mac: bytes) -> str:
        """Return a station's name, or its address."""
        if mac == wire.BROADCAST:
            return "all"
        if mac == wire.LOCAL_MODEM:
            return "modem"
        return self._names.get(mac) or mac.hex(":")

    def name_endpoint(self, endpoint: Endpoint) -> str:
        """Return an IP station's name, or its address."""
        return self._names.get(_station(endpoint)) or str(endpoint)


def _station(endpoint: Endpoint) -> bytes:
    """A station's MAC, or its IP address where there is none (loopback, raw IP captures)."""
    return endpoint.mac if any(endpoint.mac) else endpoint.ip
