"""What prepares `.venv` says when it cannot."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.scene_process import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", ROOT / "tools" / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_a_folder_that_cannot_be_written(
    prepare: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert prepare.main(str(tmp_path / "file" / ".venv")) == 1
    assert "cannot be made here (Not a directory)" in complaint(capsys)


def test_a_python_without_venv(
    prepare: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(prepare.venv, "create", fail)
    assert prepare.main(str(tmp_path / ".venv")) == 1
    assert "apt install python3-venv" in complaint(capsys)


@pytest.mark.parametrize("builds", [True, False])
def test_without_a_compiler_it_goes_on_and_says_so(
    prepare: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    builds: bool,
) -> None:
    monkeypatch.setattr(prepare.venv, "create", lambda *a, **k: (tmp_path / "v").mkdir())
    monkeypatch.setattr(prepare, "pip", lambda t, *what, quiet=False: builds or not quiet)
    assert prepare.main(str(tmp_path / "v")) == 0
    assert (tmp_path / "v" / ".ready").exists()
    told = capsys.readouterr().out
    assert told.count("without TAP devices") == (not builds)


def test_an_old_python_is_refused(
    prepare: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(prepare.sys, "version_info", (3, 10, 9))
    assert prepare.main(str(tmp_path / "v")) == 1
    assert f"this is {sys.version.split()[0]}" in complaint(capsys)
