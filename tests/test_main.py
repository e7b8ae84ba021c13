"""The command line as people use it: help, wrong arguments, missing privileges, closed pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from controller import main as cli
from controller.errors import ConfigError
from tests.scene_process import CAR, CHARGER, PATIENCE_S, ROOT, command, run

COMMANDS = sorted(cli.COMMANDS)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


# --- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert f"usage: ccs-pilot {name}" in out
    assert err == ""


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    out = capsys.readouterr().out
    for name, each in cli.COMMANDS.items():
        assert f"  {name}" in out
        assert each.help.split()[0] in out


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == cli.USAGE_ERROR
    assert "usage: ccs-pilot" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("ccs-pilot ")


def test_help_imports_nothing_heavy() -> None:
    """A start below 150 ms allows neither the codec nor the terminal library."""
    done = run("--help", env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "controller.errors" in imported
    assert not imported & {"rich", "transitions", "controller.v2g", "asyncio", "subprocess"}


# --- wrong arguments and files -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["sim", "--speed", "0"], "--speed 0: not allowed; 0.1 to 1000"),
        (["sim", "--speed", "-1"], "--speed -1: not allowed; 0.1 to 1000"),
        (["sim", "--speed", "nan"], "--speed nan: not allowed; 0.1 to 1000"),
        (["sim", "--speed", "1000.1"], "--speed 1000.1: not allowed; 0.1 to 1000"),
        (["sim", "--target-soc", "0"], "--target-soc 0: not allowed; 1 to 100"),
        (["sim", "--target-soc", "101"], "--target-soc 101: not allowed; 1 to 100"),
        (["sim", "--target-soc", "nan"], "--target-soc nan: not allowed; 1 to 100"),
        (["sim", "--target-soc", "62"], "the battery is at 62 %, its target is 62 %"),
        (["sim", "--car", "/nonexistent.toml"], "/nonexistent.toml: cannot be read: No such"),
        (["sim", "--charger", "/"], "/: cannot be read: Is a directory"),
        (["evse", "--interface", "nope0"], "--interface nope0: there is none; this machine has"),
        (["pev", "--interface", "nope0"], "--interface nope0: there is none; this machine has"),
    ],
)
def test_one_line_says_what_is_wrong(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--plain", "--out", str(tmp_path / "never")]) == cli.USAGE_ERROR
    out, err = capsys.readouterr()
    assert err.startswith(f"ccs-pilot: {complaint}")
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = [", "not valid TOML"),
        ("[car]\ntarget_soc = 3\n", 'unknown key; did you mean "target_soc_percent"?'),
        ("[battery]\nsoc_percent = 101\n", "not allowed; a number from 0 to 100"),
    ],
)
def test_a_wrong_file_is_named(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "car.toml"
    file.write_text(text)
    assert cli.main(["sim", "--plain", "--car", str(file)]) == cli.USAGE_ERROR
    err = capsys.readouterr().err
    assert err.startswith(f"ccs-pilot: {file}: ")
    assert complaint in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["sim", "--speed", "fast"],
        ["sim", "--until", "never"],
        ["sim", "--link", "string"],
        ["sim", "--seed", "x"],
        ["sim", "extra"],
        ["evse"],
        ["config"],
        ["config", "boat"],
        ["decode"],
    ],
)
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == cli.USAGE_ERROR
    err = capsys.readouterr().err
    assert "error: " in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("taken", "complaint"),
    [
        ("session", "session: cannot be made (File exists); choose another with --out"),
        ("session/trace.jsonl/", "trace.jsonl: Is a directory"),
        ("session/capture.pcapng/", "capture.pcapng: Is a directory"),
        ("session/summary.json/", "summary.json: cannot be written (Is a directory)"),
    ],
)
def test_a_folder_that_cannot_be_written(taken: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / taken
    if taken.endswith("/"):
        path.mkdir(parents=True)
    else:
        path.write_text("a file")
    (tmp_path / "charger.toml").write_text(CHARGER)
    (tmp_path / "car.toml").write_text(CAR.format(soc=79.95))
    files = ["--charger", str(tmp_path / "charger.toml"), "--car", str(tmp_path / "car.toml")]
    where = ["--out", str(tmp_path / "session"), "--speed", "1000"]
    done = run("sim", "--plain", "--link", "loopback", *files, *where)
    assert done.returncode == cli.USAGE_ERROR
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
    told = "target reached" in done.stdout
    assert told is ("summary.json" in complaint)  # then the terminal is the only place for it


def test_an_interrupt_without_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("controller.scene.run_config", interrupted)
    assert cli.main(["config", "car"]) == cli.INTERRUPTED


def test_an_interrupt_while_a_command_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Command, "load", interrupted)
    assert cli.main(["sim"]) == cli.INTERRUPTED


def test_an_error_of_ours_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(args: object) -> int:
        raise ConfigError("what is wrong")

    monkeypatch.setattr("controller.scene.run_config", fails)
    assert cli.main(["config", "car"]) == cli.USAGE_ERROR
    assert capsys.readouterr().err == "ccs-pilot: what is wrong\n"


# --- the shell around it -------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "lines"), [(["config", "car"], 0), (["config", "charger"], 1)])
def test_a_reader_that_leaves_early(words: list[str], lines: int) -> None:
    script = f"{' '.join(command(*words))} | head -{lines}"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(closed: str, tmp_path: Path) -> None:
    words = " ".join(command("sim", "--plain", "--link", "loopback", "--speed", "1000"))
    script = f"{words} --out {tmp_path / 'out'} {car_at(tmp_path)} {closed}"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["reached_target"]


def car_at(folder: Path) -> str:
    """Return the arguments for a car that is nearly full."""
    (folder / "car.toml").write_text(CAR.format(soc=79.95))
    (folder / "charger.toml").write_text(CHARGER)
    return f"--car {folder / 'car.toml'} --charger {folder / 'charger.toml'}"


def test_a_terminal_without_codes_for_everything_gets_escapes() -> None:
    lines = "import sys; from controller.main import fill_standard_streams as f; f(); "
    done = subprocess.run(
        [sys.executable, "-c", lines + "print('caf\\u00e9')"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout == b"caf\\xe9\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    script = " ".join([*command("config", "car"), ">", "/dev/full"])
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == cli.USAGE_ERROR
    assert done.stderr == "ccs-pilot: the output cannot be written (No space left on device)\n"


# --- privileges ----------------------------------------------------------------------------------


@pytest.mark.root
@ROOT_ONLY
def test_an_ordinary_user_gets_loopback_and_the_reason() -> None:
    """Without root and user namespaces no TAP device: it says so, and runs all the same."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv (util-linux)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "controller", folder / "controller")
        (folder / "charger.toml").write_text(CHARGER)
        (folder / "car.toml").write_text(CAR.format(soc=79.95))
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o644)
        user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(site_packages())}
        more: dict[str, Any] = {"cwd": folder, "env": env, "capture_output": True, "text": True}
        found = [p for p in PYTHONS if subprocess.run([*user, p, "-c", PROBE], **more).stdout]
        if not found:
            pytest.skip("no Python, or none of its packages, is readable by another user here")
        files = ["--car", "car.toml", "--charger", "charger.toml"]
        words = [*user, "--no-new-privs", found[0], "-B", "-m", "controller.main", "sim", "--plain"]
        words += ["--speed", "1000", *files]
        done = subprocess.run(words, timeout=PATIENCE_S, check=False, **more)
        assert (done.returncode, done.stderr) == (0, "")
        assert "link: loopback (no TAP devices: " in done.stdout
        assert len(list((folder / "sessions").iterdir())) == 1


PYTHONS = [os.path.realpath(sys.executable), "/usr/bin/python3"]
PROBE = (
    "import sys, subprocess, transitions, rich; subprocess.run([sys.executable, '-c', 'print(1)'])"
)
"""Can this user run this Python, and can the controller start its processes with it?"""


def site_packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


@pytest.mark.root
@ROOT_ONLY
def test_without_ipv6(tmp_path: Path) -> None:
    """A network namespace of its own, with IPv6 switched off."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux)")
    off = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f || exit 77; done; exec "
    words = command("sim", "--plain", "--link", "loopback", "--out", str(tmp_path / "s"))
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", off + " ".join(words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this machine does not let a test switch IPv6 off")
    assert done.returncode == cli.USAGE_ERROR
    assert done.stderr.startswith("ccs-pilot: IPv6 is switched off on this machine")
    assert done.stderr.count("\n") == 1
