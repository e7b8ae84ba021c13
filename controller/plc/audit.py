"""What is wrong with a modem: keys that everybody has, a wrong role, a firmware that fails.

One check a function, each gives findings with what to do. `severity` "problem" means that charging
fails or strangers get in; "advice" that it works but could be better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.plc import pib, wire
from controller.plc.chips import firmware_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.plc.manage_plans import ModemInfo

PROBLEM, ADVICE = "problem", "advice"
KNOWN_PASSWORDS = ("HomePlugAV", "HomePlugAV0123", "HomePlug")
"""Network and device passwords with which modems leave factories, and which tools offer as names
(plctool: key1, key2)."""
KNOWN_NMKS = {wire.password_to_nmk(word): word for word in KNOWN_PASSWORDS}
KNOWN_DAKS = {wire.password_to_dak(word): word for word in KNOWN_PASSWORDS}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what to do about it."""

    severity: str
    what: str
    hint: str


def audit(info: ModemInfo, role: str | None = None) -> list[Finding]:
    """Judge one modem; with `role` also whether it is one for a charger or a vehicle."""
    found = list(_firmware(info, role))
    image = info.image
    if image is None:
        if info.chip.name != "boot loader":
            found.append(Finding(ADVICE, f"its parameters could not be read: {info.note}", ""))
        return found
    found += _keys(image)
    found += _role(image, role)
    return found


def known_nmk(nmk: bytes) -> str:
    """Name the password of a key that everybody knows, or nothing."""
    return "all zero" if not any(nmk) else KNOWN_NMKS.get(nmk, "")


def _firmware(info: ModemInfo, role: str | None) -> Iterator[Finding]:
    if info.chip.name == "boot loader":
        yield Finding(PROBLEM, "runs no firmware, only its boot loader", "ccs-pilot modem boot")
        return
    if not info.chip.roles:
        yield Finding(PROBLEM, f"{info.chip.name}: {info.chip.note}", "use a Green PHY modem")
    elif role and role not in info.chip.roles:
        yield Finding(PROBLEM, f"{info.chip.name} {info.chip.note}", "use a Green PHY modem")
    for fault in firmware_faults(info.firmware):
        if role is None or role in fault.roles:
            yield Finding(PROBLEM, f"firmware {info.firmware}: {fault.why}", "use another modem")
    if info.chip.name == "QCA7420" and (role or info.role) == "evse":
        yield Finding(
            ADVICE,
            "a QCA7420 sends empty attenuation profiles",
            "as charger's modem it needs the configured plausible profile; prefer a QCA7000/7005",
        )


def _keys(image: bytes) -> Iterator[Finding]:
    word = known_nmk(pib.read(image, pib.NMK))
    if word:
        yield Finding(
            PROBLEM,
            f"its network key is everybody's ({word}): any new adapter may join its network",
            "ccs-pilot modem key (SLAC gives it a new one at each session, too)",
        )
    dak = pib.read(image, pib.DAK)
    word = "all zero" if not any(dak) else KNOWN_DAKS.get(dak, "")
    if word:
        yield Finding(
            PROBLEM,
            f"its device access key is everybody's ({word}): whoever is on the pilot line may set "
            "its key and write its parameters from afar",
            "ccs-pilot modem backup FILE; ccs-pilot pib set FILE dak=(32 hex digits); "
            "ccs-pilot modem restore FILE",
        )


def _role(image: bytes, role: str | None) -> Iterator[Finding]:
    if len(image) < pib.HIGH_SPEED.offset + pib.HIGH_SPEED.length:
        yield Finding(PROBLEM, "its parameter block has no SLAC fields", "use a Green PHY modem")
        return
    slac, cco = pib.number(image, pib.SLAC_MODE), pib.number(image, pib.CCO_SELECTION)
    codes = {name: code for name, code in pib.ROLE_CODES.items() if role in (None, name)}
    name = next((name for name, code in codes.items() if slac == code), None)
    wanted = role or "evse|pev"
    fix = f"ccs-pilot modem configure --role {wanted}"
    if name is None:
        is_now = {pib.SLAC_OFF: "off", 1: "that of a vehicle", 2: "that of a charger"}
        for_whom = {"evse": " for a charger", "pev": " for a vehicle", None: ""}[role]
        yield Finding(
            PROBLEM, f"wrong role{for_whom}: its SLAC mode is {is_now.get(slac, str(slac))}", fix
        )
        return
    if cco != pib.ROLE_CODES[name]:
        meaning = {1: "never (vehicle)", 2: "always (charger)"}
        yield Finding(
            PROBLEM,
            f"its SLAC mode is {name}, its coordinator selection {meaning.get(cco, str(cco))}",
            f"ccs-pilot modem configure --role {name}",
        )
    speeds = (pib.number(image, pib.LOW_SPEED), pib.number(image, pib.HIGH_SPEED))
    if speeds != (pib.LOW_SPEED_KBIT, pib.HIGH_SPEED_KBIT):
        yield Finding(
            ADVICE,
            f"its link speeds are {speeds[0]} and {speeds[1]} kbit/s, "
            f"not {pib.LOW_SPEED_KBIT} and {pib.HIGH_SPEED_KBIT}",
            f"ccs-pilot modem configure --role {name}",
        )
