"""Charger and vehicle, each SLAC core with its modem core, on a simulated powerline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.plc import pib, wire
from controller.plc.modem import Modem
from controller.plc.sim import Fault, SimPowerline, no_fault, seeded_rng
from controller.plc.sim_modem import SimModem
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    SendFrame,
    SetModemKey,
    WatchLink,
)
from controller.slac.evse import EvseSlac
from controller.slac.pev import PevSlac

if TYPE_CHECKING:
    from controller.plc.layout import Mme

EVSE_MAC = bytes.fromhex("020000000e01")
PEV_MAC = bytes.fromhex("020000000c01")
TO_MODEM = (SetModemKey, WatchLink)
TO_SLAC = (ModemKeySet, ModemFailed, ModemFound, LinkChanged)


@dataclass
class Host:
    """One side: what the communication process does with its two cores."""

    slac: EvseSlac | PevSlac
    modem: Modem
    log: list[tuple[float, Output]] = field(default_factory=list)

    def times(self) -> list[float]:
        return [t for t in (self.slac.next_timer(), self.modem.next_timer()) if t is not None]

    def facts(self, kind: type[Output]) -> list[Output]:
        return [o for _, o in self.log if isinstance(o, kind)]

    def sent(self, kind: type[Mme]) -> list[float]:
        found = []
        for at, o in self.log:
            if isinstance(o, SendFrame) and isinstance(wire.parse(o.frame).mme, kind):
                found.append(at)
        return found


class Pair:
    """Hosts on one powerline in virtual time; host 0 is the charger, the others vehicles."""

    def __init__(
        self,
        *,
        seed: str = "pair",
        fault: Fault = no_fault,
        vehicles: int = 1,
        chargers: int = 1,
        restart_s: float = 3.5,
        profile_groups: int = 58,
    ) -> None:
        self.now = 0.0
        self.hosts: list[Host] = []
        modems = []
        for i in range(chargers + vehicles):
            is_evse = i < chargers
            mac = (EVSE_MAC if is_evse else PEV_MAC)[:5] + bytes([i + 1])
            rng = seeded_rng(f"{seed}/{i}")
            slac = EvseSlac(mac, rng) if is_evse else PevSlac(mac, rng)
            self.hosts.append(Host(slac, Modem(mac, f"eth{i}")))
            mode = pib.SLAC_EVSE if is_evse else pib.SLAC_PEV
            modem_mac = bytes.fromhex("00b052aa00") + bytes([i + 1])
            modems.append(
                SimModem(
                    modem_mac,
                    slac_mode=mode,
                    restart_s=restart_s,
                    profile_groups=profile_groups,
                )
            )
        self.line = SimPowerline(modems, seed=seed, fault=fault)
        self.evse = self.hosts[0]
        self.pev = self.hosts[chargers]

    def signal(self, host: Host, signal: Output) -> None:
        core = host.modem if isinstance(signal, TO_MODEM) else host.slac
        self.obey(host, core.receive_signal(signal, self.now))

    def obey(self, host: Host, outputs: list[Output]) -> None:
        for output in outputs:
            host.log.append((self.now, output))
            if isinstance(output, SendFrame):
                index = self.hosts.index(host)
                self.deliver(self.line.receive_frame(index, output.frame, self.now))
            elif isinstance(output, TO_MODEM + TO_SLAC):
                self.signal(host, output)

    def deliver(self, deliveries: list[tuple[int, bytes]]) -> None:
        for index, frame in deliveries:
            host = self.hosts[index]
            self.obey(host, host.modem.receive_frame(frame, self.now))
            self.obey(host, host.slac.receive_frame(frame, self.now))

    def advance(self, seconds: float) -> None:
        """Run until `seconds` from now."""
        end = self.now + seconds
        while True:
            times = [t for h in self.hosts for t in h.times()]
            line = self.line.next_timer()
            at = min([*times, *([] if line is None else [line])], default=float("inf"))
            if at > end:
                break
            self.now = max(self.now, at)
            self.deliver(self.line.handle_timer(self.now))
            for host in self.hosts:
                self.obey(host, host.modem.handle_timer(self.now))
                self.obey(host, host.slac.handle_timer(self.now))
        self.now = end
