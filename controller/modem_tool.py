"""`ccs-pilot modem`: look at powerline modems, prepare them, and check them.

Standard output has the answer (with `--json` as one JSON value), standard error what is going on.
Exit code 0: done; 1: done, and something was found (`audit`, `check`, a link that is down); 2: not
done, with one line that says why.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from controller import modem_view as view
from controller.errors import ConfigError, PortError, WireError
from controller.loop import Loop
from controller.modem_run import (
    InterruptedPlanError,
    carry_out,
    note,
    read_file,
    survey,
    write_new,
)
from controller.plc import boot, driver_interface, interface, pib, wire
from controller.plc import manage_plans as plans
from controller.plc.audit import PROBLEM, audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OK, FOUND = 0, 1
INTERRUPTED = 130

EXAMPLES = """\
examples:
  ccs-pilot modem list                            every modem on every interface
  ccs-pilot modem info -i eth1                    all that one modem tells, with its parameters
  ccs-pilot modem configure --role evse -i eth1   make an adapter a charger's modem (keeps a backup)
  ccs-pilot modem audit --role evse -i eth1       keys that everybody has, wrong role, bad firmware
  ccs-pilot modem check eth1                      is the interface quiet and has it its address?
  ccs-pilot modem backup before.pib -i eth1       its parameter file; ccs-pilot pib show before.pib

It needs the capability CAP_NET_RAW: run it with sudo. --json prints one JSON value.
exit code: 0 done; 1 done, something was found; 2 not done, the line says why"""


def say(lines: Iterable[str]) -> None:
    """Write the answer."""
    for line in lines:
        sys.stdout.write(f"{line}\n")


def say_json(value: object) -> None:
    """Write the answer as JSON."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def session_number() -> int:
    """Return a number for a write session, as plctool draws one."""
    return int.from_bytes(secrets.token_bytes(4), "little") | 1


# --- commands ------------------------------------------------------------------------------------


def run_list(args: argparse.Namespace) -> int:
    """Show every modem."""
    found = [(name, info) for name, told in survey(args).items() for info in told]
    if args.json:
        say_json([view.info_json(name, info) for name, info in found])
    else:
        for name, info in found:
            say(view.list_lines(name, info))
    return OK


def run_info(args: argparse.Namespace) -> int:
    """Show one modem with its parameters."""
    name, info, _ = carry_out(args, lambda: plans.inform(args.modem))
    if args.json:
        say_json(view.info_json(name, info))
    else:
        say(view.info_lines(name, info))
    return OK


def run_stats(args: argparse.Namespace) -> int:
    """Show the counters."""
    name, (info, counters), _ = carry_out(args, lambda: plans.statistics(args.modem))
    if args.json:
        say_json(view.statistics_json(name, info, counters))
    else:
        say(view.statistics_lines(name, info, counters))
    return OK


def run_link(args: argparse.Namespace) -> int:
    """Show the link; exit code 1 when it is down."""
    name, info, _ = carry_out(args, lambda: plans.look_at_link(args.modem))
    if args.json:
        told = view.info_json(name, info)
        keys = ("interface", "mac", "link", "nid", "network_role", "coordinator", "peers")
        say_json({key: told[key] for key in keys})
    else:
        say([f"{name}: {info.mac.hex(':')}", *view.network_lines(info)])
    return OK if info.link_up else FOUND


def run_key(args: argparse.Namespace) -> int:
    """Give the modem a key."""
    nmk = args.nmk or secrets.token_bytes(wire.NMK_LENGTH)
    if args.password:
        nmk = wire.password_to_nmk(args.password)
    nid = args.nid or wire.nid_from_nmk(nmk)
    nonce = secrets.token_bytes(4)
    name, info, _ = carry_out(args, lambda: plans.set_key(nid, nmk, nonce, args.modem))
    told = {"interface": name, "mac": info.mac.hex(":"), "nmk": nmk.hex(), "nid": nid.hex()}
    if args.json:
        say_json(told)
    else:
        say([f"{name}: {told['mac']} has its key: NMK {told['nmk']}, NID {told['nid']}"])
    return OK


def run_restart(args: argparse.Namespace) -> int:
    """Restart the modem, with its own or the factory's parameters."""
    plan = plans.factory if args.action == "factory" else plans.reset
    name, info, _ = carry_out(args, lambda: plan(args.modem))
    if args.json:
        say_json({"interface": name, "mac": info.mac.hex(":"), "firmware": info.firmware})
    else:
        what = "has its factory parameters" if args.action == "factory" else "has restarted"
        say([f"{name}: {info.mac.hex(':')} {what}, {info.firmware} runs"])
    return OK


def run_backup(args: argparse.Namespace) -> int:
    """Read the parameter file into a file."""
    if args.file.exists():
        raise PortError(f"{args.file}: exists; a backup is never overwritten")
    name, (info, data), _ = carry_out(args, lambda: plans.backup(args.modem))
    write_new(args.file, data)
    if args.json:
        said = {"interface": name, "mac": info.mac.hex(":")}
        say_json({**said, "file": str(args.file), "bytes": len(data)})
    else:
        say([f"{name}: {len(data)} bytes of {info.mac.hex(':')} in {args.file}"])
    return OK


def run_restore(args: argparse.Namespace) -> int:
    """Write a parameter file into the modem."""
    data = read_file(args.file)
    try:
        pib.from_chain(data)
    except WireError as error:
        raise ConfigError(f"{args.file}: no parameter file ({error})") from None
    session = session_number()
    name, info, runner = carry_out(
        args, lambda: plans.restore(data, session, args.modem, any_mac=args.any_modem)
    )
    if args.json:
        backup = str(runner.kept)
        say_json({"interface": name, "mac": info.mac.hex(":"), "backup": backup, "verified": True})
    else:
        say([f"{name}: {args.file} is in the modem, read back and equal"])
    return OK


def run_configure(args: argparse.Namespace) -> int:
    """Make the modem one for a charger or a vehicle."""
    session = session_number()
    name, info, runner = carry_out(args, lambda: plans.configure(args.role, session, args.modem))
    changed = info.note != "unchanged"
    whose = {"evse": "a charger's modem", "pev": "a vehicle's modem"}[args.role]
    if args.json:
        told = view.info_json(name, info)
        said = {"changed": changed, "backup": str(runner.kept) if runner.kept else None}
        say_json({**said, "interface": name, "mac": told["mac"], "role": told["role"]})
    elif changed:
        say([f"{name}: {info.mac.hex(':')} is {whose} now (read back and equal)"])
    else:
        say([f"{name}: {info.mac.hex(':')} was {whose} already: nothing written"])
    return OK


def run_audit(args: argparse.Namespace) -> int:
    """Judge every modem; exit code 1 when one has a problem."""
    judged = [
        (name, info, audit(info, args.role)) for name, told in survey(args).items() for info in told
    ]
    if args.json:
        say_json(
            [
                {
                    "interface": name,
                    "mac": info.mac.hex(":"),
                    "findings": view.findings_json(findings),
                }
                for name, info, findings in judged
            ]
        )
    else:
        for name, info, findings in judged:
            say(view.finding_lines(f"{name}: {info.mac.hex(':')}", findings))
    return FOUND if any(f.severity == PROBLEM for _, _, fs in judged for f in fs) else OK


def run_check(args: argparse.Namespace) -> int:
    """Judge interfaces; exit code 1 when one has a problem."""
    names = [args.name or args.interface] if args.name or args.interface else None
    judged = []
    for name in names or driver_interface.interfaces():
        facts = driver_interface.read_facts(name)
        judged.append((facts, interface.check(facts)))
    if args.json:
        say_json([view.facts_json(facts, findings) for facts, findings in judged])
    else:
        for facts, findings in judged:
            say(view.finding_lines(facts.name, findings))
    return FOUND if any(f.severity == PROBLEM for _, fs in judged for f in fs) else OK


def run_boot(args: argparse.Namespace) -> int:
    """Give a modem without flash memory its parameters and firmware."""
    parameters, firmware = read_file(args.parameters), read_file(args.firmware)
    wrong = boot.is_complete(parameters, firmware)
    if wrong:
        raise ConfigError(f"{args.parameters}, {args.firmware}: {wrong}")
    session = session_number()
    name, info, _ = carry_out(
        args, lambda: boot.find_and_boot(parameters, firmware, session, args.modem)
    )
    if args.json:
        say_json({"interface": name, "mac": info.mac.hex(":"), "firmware": info.firmware})
    else:
        say([f"{name}: {info.mac.hex(':')} runs {info.firmware}"])
    return OK


def run_bridge(args: argparse.Namespace) -> int:
    """Drive a modem on SPI and be its network interface, until Ctrl-C."""
    from controller.plc.driver_spi import SpiBridge, open_spi
    from controller.plc.driver_tap import open_tap

    port = open_spi(args.device, args.gpio, chip=args.chip, speed_hz=args.speed)
    loop = Loop()
    try:
        tap = open_tap(args.tap)
        try:
            SpiBridge(loop, port, tap, lambda line: note(f"{args.tap}: {line}"))
            loop.run()
        finally:
            tap.close()
    finally:
        port.close()
        loop.close()
    return OK


# --- the command line ----------------------------------------------------------------------------


def hex_of(length: int) -> Callable[[str], bytes]:
    """Make a reader of `length` bytes as hex digits, with or without colons."""

    def read(typed: str) -> bytes:
        try:
            value = bytes.fromhex(typed.replace(":", ""))
        except ValueError:
            value = b""
        if len(value) != length:
            raise argparse.ArgumentTypeError(f"{typed!r}: {length} bytes as hex digits")
        return value

    return read


ACTIONS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "list": (run_list, "every modem: chip, firmware, role, network, peers and their rates"),
    "info": (run_info, "all that one modem tells, with its parameters"),
    "stats": (run_stats, "counters of what was sent and received"),
    "link": (run_link, "is the powerline link up, and to whom (exit code 1: down)"),
    "key": (run_key, "give it a network key: a random one, or yours"),
    "reset": (run_restart, "restart it and wait until it is back"),
    "factory": (run_restart, "take back the factory's parameters"),
    "backup": (run_backup, "read its parameters into FILE"),
    "restore": (run_restore, "write the parameters of FILE, read back and compare"),
    "configure": (run_configure, "make it a charger's or a vehicle's modem"),
    "audit": (run_audit, "keys that everybody has, wrong role, firmware that fails"),
    "check": (run_check, "is the network interface fit: address, link, nobody else talking"),
    "boot": (run_boot, "start a modem without flash memory from files"),
    "bridge": (run_bridge, "drive a QCA7000/7005 on SPI without a kernel driver (a TAP device)"),
}


def add_arguments_modem(parser: argparse.ArgumentParser) -> None:
    """Declare what `run_modem` needs."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    for name, (_, text) in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("-i", "--interface", metavar="IF", help="network interface, as eth1")
        action.add_argument(
            "--modem", metavar="MAC", type=hex_of(6), help="the modem, where several answer"
        )
        action.add_argument("--json", action="store_true", help="print one JSON value")
        if name in SPECIAL:
            SPECIAL[name](action)


def _key_arguments(action: argparse.ArgumentParser) -> None:
    which = action.add_mutually_exclusive_group()
    which.add_argument("--nmk", metavar="HEX", type=hex_of(16), help="the key, 32 hex digits")
    which.add_argument("--password", help="the network password that the key comes from")
    action.add_argument("--nid", metavar="HEX", type=hex_of(7), help="network identifier (derived)")


def _file_argument(action: argparse.ArgumentParser) -> None:
    action.add_argument("file", metavar="FILE", type=Path)


def _restore_arguments(action: argparse.ArgumentParser) -> None:
    _file_argument(action)
    action.add_argument(
        "--any-modem", action="store_true", help="also when the file has another modem's address"
    )
    _backup_argument(action)


def _backup_argument(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--backup-to", metavar="FILE", type=Path, help="where its old parameters are kept"
    )


def _configure_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("--role", choices=("evse", "pev"), required=True)
    _backup_argument(action)


def _audit_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("--role", choices=("evse", "pev"), help="what it is meant to be")


def _check_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", metavar="IF", nargs="?", help="the interface (all when left out)")


def _boot_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("--parameters", metavar="FILE", type=Path, required=True, help=".pib file")
    action.add_argument("--firmware", metavar="FILE", type=Path, required=True, help=".nvm file")


def _bridge_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument("--device", default="/dev/spidev0.0", help="default: %(default)s")
    action.add_argument("--chip", default="/dev/gpiochip0", help="default: %(default)s")
    action.add_argument("--gpio", type=int, default=23, help="interrupt line (%(default)s)")
    action.add_argument("--speed", type=int, default=8_000_000, help="in Hz (%(default)s)")
    action.add_argument("--tap", default="plc0", help="interface to make (%(default)s)")


SPECIAL: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "key": _key_arguments,
    "backup": _file_argument,
    "restore": _restore_arguments,
    "configure": _configure_arguments,
    "audit": _audit_arguments,
    "check": _check_arguments,
    "boot": _boot_arguments,
    "bridge": _bridge_arguments,
}


def run_modem(args: argparse.Namespace) -> int:
    """Run `ccs-pilot modem`; raises ControllerError with one line when it cannot."""
    try:
        return ACTIONS[args.action][0](args)
    except InterruptedPlanError as left:
        note(f"ccs-pilot: {left}")
        return INTERRUPTED
