"""What `ccs-pilot modem` shows of a modem: blocks of text for people, objects for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.plc import pib
from controller.plc.audit import known_nmk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.plc.audit import Finding
    from controller.plc.interface import InterfaceFacts
    from controller.plc.manage_plans import ModemInfo
    from controller.plc.wire_vendor import VsLnkStatsBothCnf

Json = dict[str, Any]


def info_json(interface: str, info: ModemInfo) -> Json:
    """Everything about a modem, bytes as hex."""
    image = info.image
    return {
        "interface": interface,
        "mac": info.mac.hex(":"),
        "chip": info.chip.name,
        "firmware": info.firmware,
        "role": info.role,
        "link": info.link_up,
        "nid": info.nid_in_use.hex() if info.nid_in_use else None,
        "network_role": info.network_role,
        "coordinator": info.coordinator.hex(":") if info.coordinator else None,
        "peers": [
            {
                "mac": peer.mac.hex(":"),
                "behind": peer.behind.hex(":"),
                "tx_mbit": peer.tx_mbit,
                "rx_mbit": peer.rx_mbit,
            }
            for peer in info.peers
        ],
        "parameters": None if image is None else fields_json(image),
        "note": info.note,
    }


def fields_json(image: bytes) -> Json:
    """Every named field of a parameter block that fits into it."""
    return {
        field.name: int.from_bytes(pib.read(image, field), "little")
        if field.kind is pib.Kind.NUMBER
        else pib.shown(field, pib.read(image, field))
        for field in pib.FIELDS
        if field.offset + field.length <= len(image)
    }


def list_lines(interface: str, info: ModemInfo) -> Iterable[str]:
    """One modem, in short."""
    yield f"{interface}: {info.mac.hex(':')}  {info.chip.name}  {info.firmware}"
    image = info.image
    if image is not None:
        yield f"    role      {_role(info, image)}"
    yield from network_lines(info)
    if image is not None:
        yield f"    key       {_key(pib.read(image, pib.NMK))}"
    if info.note:
        yield f"    note      {info.note}"


def network_lines(info: ModemInfo) -> Iterable[str]:
    """The link, the network and its stations."""
    state = {True: "up", False: "down", None: "unknown"}[info.link_up]
    count = len(info.peers)
    yield f"    link      {state}, {count} peer{'' if count == 1 else 's'}"
    if info.nid_in_use is not None:
        where = f", coordinator {info.coordinator.hex(':')}" if info.coordinator else ""
        yield f"    network   NID {info.nid_in_use.hex()}, {info.network_role}{where}"
    for peer in info.peers:
        yield (
            f"    peer      {peer.mac.hex(':')}, behind it {peer.behind.hex(':')}, "
            f"tx {peer.tx_mbit} rx {peer.rx_mbit} Mbit/s"
        )


def info_lines(interface: str, info: ModemInfo) -> Iterable[str]:
    """One modem with its parameters."""
    yield from list_lines(interface, info)
    image = info.image
    if image is not None:
        yield "    parameters"
        yield from (f"      {line}" for line in field_lines(image))


def field_lines(image: bytes) -> Iterable[str]:
    """Every named field with its offset and meaning; long ones are cut."""
    for field in pib.FIELDS:
        if field.offset + field.length > len(image):
            continue
        value = pib.shown(field, pib.read(image, field))
        value = value if len(value) <= 40 else f"{value[:32]}... ({field.length} bytes)"
        yield f"{field.offset:#06x}  {field.name:<16} {value:<47} {field.meaning}".rstrip()


def statistics_json(interface: str, info: ModemInfo, counters: VsLnkStatsBothCnf) -> Json:
    """The counters by name."""
    numbers = {
        name: getattr(counters, name)
        for name, _ in counters.ITEMS
        if name.startswith(("tx_", "rx_"))
    }
    rates = [{name: getattr(rate, name) for name, _ in rate.ITEMS} for rate in counters.rates]
    return {"interface": interface, "mac": info.mac.hex(":"), **numbers, "rates": rates}


def statistics_lines(interface: str, info: ModemInfo, counters: VsLnkStatsBothCnf) -> Iterable[str]:
    """The counters with their error rates."""
    yield f"{interface}: {info.mac.hex(':')}  all links together"
    for label, good, bad in (
        ("sent packets", counters.tx_mpdu_ok, counters.tx_mpdu_failed),
        ("sent blocks", counters.tx_blocks_ok, counters.tx_blocks_failed),
        ("received packets", counters.rx_mpdu_ok, counters.rx_mpdu_failed),
        ("received blocks", counters.rx_blocks_ok, counters.rx_blocks_failed),
    ):
        yield f"    {label:<17} {good:>12} good {bad:>10} failed  {_percent(good, bad)}"
    yield f"    {'collisions':<17} {counters.tx_mpdu_collided:>12}"


def finding_lines(where: str, findings: list[Finding]) -> Iterable[str]:
    """What was found, and what to do; or that all is well."""
    if not findings:
        yield f"{where}: all well"
    for finding in findings:
        yield f"{where}: {finding.severity}: {finding.what}"
        if finding.hint:
            yield f"    {finding.hint}"


def findings_json(findings: list[Finding]) -> list[Json]:
    """What was found."""
    return [{"severity": f.severity, "what": f.what, "hint": f.hint} for f in findings]


def facts_json(facts: InterfaceFacts, findings: list[Finding]) -> Json:
    """An interface and what was found."""
    return {
        "interface": facts.name,
        "mac": facts.mac.hex(":"),
        "up": facts.is_up,
        "carrier": facts.has_carrier,
        "addresses": [a.text for a in facts.addresses],
        "findings": findings_json(findings),
    }


def _role(info: ModemInfo, image: bytes) -> str:
    slac = pib.number(image, pib.SLAC_MODE)
    cco = pib.number(image, pib.CCO_SELECTION)
    name = pib.text(image, pib.USER)
    return f"{info.role} (SLAC {slac}, coordinator selection {cco}, name {name!r})"


def _key(nmk: bytes) -> str:
    word = known_nmk(nmk)
    return f"NMK {nmk.hex()}" + (f" (everybody's: {word})" if word else "")


def _percent(good: int, bad: int) -> str:
    return f"{100 * bad / (good + bad):.2f} %" if good + bad else "-"
