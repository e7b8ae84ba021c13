"""Namespaces: what can be tried without harm, and what is said when it cannot be had."""

from __future__ import annotations

import os
import socket

import pytest

from controller import netns
from controller.errors import PortError


def refuse() -> None:
    raise PortError("no such device; load it")


def break_down() -> None:
    raise RuntimeError("a bug")


def leave() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda: None, ""),
        (refuse, "no such device; load it"),
        (break_down, "RuntimeError('a bug')"),
        (leave, "SystemExit(3)"),
    ],
)
def test_attempt(what: object, reason: str) -> None:
    assert callable(what)
    assert netns.attempt(what) == reason


def test_attempt_changes_nothing_here() -> None:
    here = []
    assert netns.attempt(lambda: here.append(1)) == ""
    assert here == []


def test_attempt_says_no_more_than_fits() -> None:
    def talk() -> None:
        raise PortError("x" * 100_000)

    assert netns.attempt(talk) == "x" * 4000


def test_a_namespace_has_nothing_but_loopback() -> None:
    def look() -> None:
        netns.enter()
        netns.quieten()
        raise PortError(",".join(netns.interfaces()) + f" {os.geteuid()}")

    said = netns.attempt(look)
    if "namespace" in said:
        pytest.skip(f"this machine gives none: {said}")
    names, user = said.split()
    assert "lo" in names.split(",")
    assert user == "0"
    assert not {"eth0", "wlan0"} & set(names.split(","))


def test_interfaces_and_addresses() -> None:
    names = netns.interfaces()
    assert names == sorted(name for _, name in socket.if_nameindex())
    if "lo" in names:
        assert netns.mac_of("lo") == bytes(6)


def test_no_such_interface() -> None:
    with pytest.raises(PortError, match="nope0: no Ethernet address"):
        netns.mac_of("nope0")
