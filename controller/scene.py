"""The commands `sim`, `evse`, `pev` and `config`: from arguments to a scene, and to words."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import netns
from controller.config import CarConfig, ChargerConfig, load, reference
from controller.cp.cable import rated_current_a
from controller.cp.current import LOWEST_A
from controller.errors import ConfigError, PortError
from controller.listener.summaries import printable
from controller.power.sim_battery import interpolate
from controller.view import LOWEST, NARROWEST, LiveView, PlainView

if TYPE_CHECKING:
    from controller.site import Scene
    from controller.view import View

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that stop a session as its driver would."""
DEFAULT_RUN_S = 30.0
"""How long a scene takes at the default speed, roughly."""
OVERHEAD_S = 25.0
"""Session time besides charging: SLAC, parameters, cable check, shut-down."""
AC_OVERHEAD_S = 15.0
"""The same at an AC charger: a vehicle that has stopped drawing may come back for a while."""
DIGITAL_FIRST_S = 60.0
"""5 % first, and nobody answers."""
KEPT_UP = 0.7
"""Share of the speed asked for; below it the summary says so."""
SHORT_RUN_S = 2.0
"""A run that starts and ends within this time tells nothing of its speed."""
FASTEST, SLOWEST = 1000.0, 0.1
"""Bounds of --speed; the machine sets a lower upper one, and then the run just takes longer."""


# --- arguments -----------------------------------------------------------------------------------


def _common(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--charger", type=Path, metavar="FILE", help="charger file (TOML)")
    parser.add_argument("--car", type=Path, metavar="FILE", help="car file (TOML)")
    parser.add_argument(
        "--target-soc", type=float, metavar="PERCENT", help="state of charge at which the car stops"
    )
    parser.add_argument(
        "--until",
        choices=("stop", "unplug"),
        default="unplug",
        help="end the scene when the session has stopped, or after unplugging (default)",
    )
    parser.add_argument("--plain", action="store_true", help="one line an event, no live table")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="session folder (default: sessions/DATE)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of noise and keys (default: 1)")


def add_arguments_sim(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `sim`."""
    _common(parser)
    parser.description = SIM_TEXT
    parser.add_argument(
        "--speed", type=float, metavar="N", help="session seconds per second (default: ~30 s run)"
    )
    parser.add_argument(
        "--link",
        choices=("auto", "tap", "loopback"),
        default="auto",
        help="how the two sides are joined (default: TAP devices where privileges allow)",
    )


SIM_TEXT = """\
Charges a simulated car. The charger's two processes and the car's run with real sockets against a
simulated site: pilot circuit, modem pair, power module, isolation monitor, contactors, battery.

Ends with a summary and a session folder: trace.jsonl (every input and output with its time),
capture.pcapng (for a network analyser), summary.json. Exit code 0 only if the car reached its
target and everything ended safe. Ctrl-C stops as the driver would; again: emergency stop.

With `[charger] mode = "ac"` in the charger file it is an AC charge by IEC 61851-1: mains contactor,
RCD, cable and on-board charger are simulated. While such a charge just goes on, time is handed out
in larger steps (--speed 1000: an hour takes half a minute).

examples:
  ccs-pilot sim --plain                     one line an event
  ccs-pilot sim --charger ac.toml           an AC charge; ac.toml: [charger] mode = "ac"
"""

ROLE_TEXT = """\
Runs the {role} on a real network interface, by the machine's own clock, for one session with a real
peer. Its power hardware, its pilot and the other side's electrics are simulated: a bench that needs
no wiring. With `[plc] modem = "none"` in the file SLAC is skipped (plain Ethernet between the two).

There are no drivers for real power hardware yet.
"""


def add_arguments_evse(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `evse`."""
    _role(parser, "evse", "charger (SECC)")


def add_arguments_pev(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pev`."""
    _role(parser, "pev", "vehicle (EVCC)")


def _role(parser: argparse.ArgumentParser, role: str, name: str) -> None:
    _common(parser)
    parser.description = ROLE_TEXT.format(role=name)
    parser.add_argument("--interface", required=True, metavar="IF", help="network interface")
    parser.set_defaults(role=role)


def add_arguments_config(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `config`."""
    parser.description = "Prints a file with every key, its default, its bounds and its meaning."
    parser.add_argument("which", choices=("charger", "car"))


# --- commands ------------------------------------------------------------------------------------


def run_config(args: argparse.Namespace) -> int:
    """Print the reference of a configuration file."""
    sys.stdout.write(reference(CarConfig if args.which == "car" else ChargerConfig))
    return 0


def run_sim(args: argparse.Namespace) -> int:
    """Play a whole session; exit code 0 only if all went as it should."""
    charger, car = _configs(args)
    if charger.charger.mode == "ac":
        ac_power_w(charger, car)
    elif not car.car.digital:
        raise ConfigError(
            "this car does not talk ([car] digital = false): it needs an AC charger "
            '(--charger with [charger] mode = "ac")'
        )
    speed = default_speed(charger, car) if args.speed is None else args.speed
    if not SLOWEST <= speed <= FASTEST:
        raise ConfigError(f"--speed {speed:g}: not allowed; {SLOWEST:g} to {FASTEST:g}")
    return _play(args, charger, car, link=args.link, speed=speed)


def run_evse(args: argparse.Namespace) -> int:
    """Run the charger against a real vehicle's communication."""
    return _run_role(args)


def run_pev(args: argparse.Namespace) -> int:
    """Run the vehicle against a real charger's communication."""
    return _run_role(args)


def _run_role(args: argparse.Namespace) -> int:
    charger, car = _configs(args)
    if args.interface not in netns.interfaces():
        names = ", ".join(netns.interfaces())
        raise ConfigError(f"--interface {args.interface}: there is none; this machine has {names}")
    return _play(args, charger, car, link=args.interface, speed=None, sides=(args.role,))


def _configs(args: argparse.Namespace) -> tuple[ChargerConfig, CarConfig]:
    charger, car = load(ChargerConfig, args.charger), load(CarConfig, args.car)
    if args.target_soc is not None:
        if not 1 <= args.target_soc <= 100:
            raise ConfigError(f"--target-soc {args.target_soc:g}: not allowed; 1 to 100")
        car = car.with_target(args.target_soc)
    if car.battery.soc_percent >= car.car.target_soc_percent:
        raise ConfigError(
            f"the battery is at {car.battery.soc_percent:g} %, its target is "
            f"{car.car.target_soc_percent:g} %: nothing to charge (soc_percent, --target-soc)"
        )
    return charger, car


def default_speed(charger: ChargerConfig, car: CarConfig) -> float:
    """Return the speed at which the scene takes about DEFAULT_RUN_S."""
    battery, plate = car.battery, charger.charger
    seconds, soc, step = OVERHEAD_S, battery.soc_percent, 0.5
    ac_w = None
    if plate.mode == "ac":
        ac_w = ac_power_w(charger, car)
        seconds += AC_OVERHEAD_S + charger.ac.digital_first * DIGITAL_FIRST_S
    while soc < car.car.target_soc_percent:
        voltage_v = interpolate(battery.voltage_v, soc)
        current_a = min(
            interpolate(battery.current_a, soc),
            battery.maximum_current_a,
            plate.maximum_current_a if ac_w is None else ac_w / voltage_v,
            plate.maximum_power_w / voltage_v,
        )
        seconds += battery.capacity_wh * 36 * step / max(voltage_v * current_a, 1.0)
        soc += step
    return max(1.0, min(FASTEST, seconds / DEFAULT_RUN_S))


def ac_power_w(charger: ChargerConfig, car: CarConfig) -> float:
    """Return what reaches the battery from an AC charger, at the most. Raises ConfigError."""
    ac, onboard = charger.ac, car.onboard
    socket = ac.connector == "socket"
    cable_a = rated_current_a(charger.site.cable_ohm) if socket else ac.cable_current_a
    bounds = {
        "[ac] maximum_current_a": ac.maximum_current_a,
        "[ac] installation_current_a": ac.installation_current_a,
        "the cable ([site] cable_ohm)": cable_a,
        "[onboard] maximum_current_a": onboard.maximum_current_a,
    }
    least = min(bounds, key=bounds.__getitem__)
    if bounds[least] < LOWEST_A:
        raise ConfigError(
            f"nothing to charge from AC: {least} allows {bounds[least]:g} A, "
            f"and there is no AC charging below {LOWEST_A:g} A"
        )
    phases = min(ac.phases, onboard.phases)
    return bounds[least] * phases * charger.site.mains_v * onboard.efficiency


def _play(
    args: argparse.Namespace,
    charger: ChargerConfig,
    car: CarConfig,
    *,
    link: str,
    speed: float | None,
    sides: tuple[str, ...] = ("evse", "pev"),
) -> int:
    from controller.sim import World
    from controller.sim_bench import CarBench, ChargerBench
    from controller.site import RunningSite, Scene

    scene = Scene(
        charger=charger,
        car=car,
        charger_file=args.charger,
        car_file=args.car,
        sides=sides,
        link=link,
        speed=speed,
        until=args.until,
        folder=args.out,
        seed=args.seed,
    )
    view = _view(args, scene)
    try:
        kind = {"evse": CarBench, "pev": ChargerBench}["".join(sides)] if speed is None else World
        site = RunningSite(scene, kind(charger, car, args.seed), view)
        for number in STOPPING:
            signal.signal(number, site.interrupt)
        summary = site.run()
    finally:
        view.close()
    sys.stdout.write("\n".join(map(printable, summary_lines(summary))) + "\n")
    sys.stdout.flush()
    for number in STOPPING:  # all is kept and said: one that comes now changes nothing
        signal.signal(number, signal.SIG_IGN)
    if summary["summary_error"]:
        raise PortError(summary["summary_error"])
    return 0 if succeeded(summary, target_matters="pev" in sides) else 1


def _view(args: argparse.Namespace, scene: Scene) -> View:
    pace = "the machine's clock" if scene.speed is None else f"{scene.speed:.3g} x"
    title = f"ccs-pilot: {' and '.join(scene.sides)}, {pace}"
    if args.plain or not sys.stdout.isatty():
        return _plain(title)
    from rich.console import Console

    console = Console()
    small = console.width < NARROWEST or console.height < LOWEST
    if small or console.is_dumb_terminal:
        return _plain(title)
    return LiveView(console, title)


def _plain(title: str) -> PlainView:
    view = PlainView()
    view.say(title)
    return view


def succeeded(summary: dict[str, Any], *, target_matters: bool) -> bool:
    """Say whether a session went as it should: target reached, normal end, everything safe.

    A charger alone knows no target, and it may be interrupted at any time: that is how it ends.
    """
    if summary["given_up"] or not summary["ended_safe"]:
        return False
    if target_matters:
        return bool(summary["reached_target"] and summary["normal"])
    return bool(summary["normal"] or summary.get("interrupted"))


# --- the summary in words ------------------------------------------------------------------------


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the summary as text."""
    bench = summary.get("bench_mode")
    lines = [
        "",
        *([f"!!         {bench}"] if bench else []),
        f"ended      {_ended(summary)}",
        f"energy     {summary['energy_wh'] / 1000:.2f} kWh, "
        f"peak {summary['peak_power_w'] / 1000:.1f} kW{_charged(summary)}",
        f"safe       {_safe(summary)}",
        f"{'phase':<18}{'took':>10}{'limit':>10}",
    ]
    lines += [_phase_line(phase) for phase in summary["phases"]]
    if summary["answers"]:
        lines += [f"{'slowest answer':<32}{'took':>10}{'budget':>10}"]
        lines += [_answer_line(answer) for answer in summary["slowest_answers"]]
    lines += _pace(summary)
    lines += [f"not kept   {why}" for why in summary.get("not_kept", ())]
    return [*lines, f"session folder: {summary['folder']}"]


def _pace(summary: dict[str, Any]) -> list[str]:
    """Say that the machine did not keep up with the speed that was asked for."""
    asked, wall_s = summary.get("speed"), summary.get("wall_s") or 0.0
    if not asked or wall_s < SHORT_RUN_S or summary["session_s"] > KEPT_UP * asked * wall_s:
        return []
    reached = summary["session_s"] / wall_s
    return [f"speed      {reached:.3g} x; {asked:.3g} x is more than this machine makes just now"]


def _ended(summary: dict[str, Any]) -> str:
    if summary["given_up"]:
        return str(summary["given_up"])
    names = {"evse": "charger", "pev": "car"}
    told = [f"{names[side]}: {reason}" for side, reason in summary["reasons"].items()]
    return "; ".join(told) or str(summary["reason"])


def _charged(summary: dict[str, Any]) -> str:
    if summary["soc_percent"] is None:
        return ", SoC not known"  # a charger alone does not know it
    reached = "target reached" if summary["reached_target"] else "target NOT reached"
    soc = f"SoC {summary['soc_at_start_percent']:.1f} -> {summary['soc_percent']:.1f} %"
    return f", {soc}, {reached}"


def _safe(summary: dict[str, Any]) -> str:
    if summary["ended_safe"]:
        return f"yes: contactors open, output at {summary['output_voltage_v']:.0f} V"
    closed = [side for side, is_closed in summary["contactors_closed"].items() if is_closed]
    where = f"contactors CLOSED at {', '.join(closed)}" if closed else "contactors open"
    return f"NO: {where}, output at {summary['output_voltage_v']:.0f} V"


def _phase_line(phase: dict[str, Any]) -> str:
    took = "-" if phase["duration_s"] is None else f"{phase['duration_s']:.2f} s"
    limit = "-" if phase["limit_s"] is None else f"{phase['limit_s']:g} s"
    return f"  {phase['name']:<16}{took:>10}{limit:>10}" + (
        "" if phase["within_limit"] else "  TOO LONG"
    )


def _answer_line(answer: dict[str, Any]) -> str:
    took = "-" if answer["seconds"] is None else f"{answer['seconds'] * 1000:.1f} ms"
    late = "  TOO LATE" if (answer["seconds"] or 0.0) > answer["budget_s"] else ""
    return f"  {answer['name'] or '-':<30}{took:>10}{answer['budget_s'] * 1000:>7.0f} ms{late}"
