from controller.v2g.session import Deadlines, SeccSession, Stop, V2gSession


def test_the_first_reason_is_kept() -> None:
    session = V2gSession()
    session.latch("driver", normal=True)
    session.latch("consequence")
    assert (session.stop_reason, session.normal) == ("driver", True)


def test_a_stop_only_gets_worse() -> None:
    session = SeccSession()
    for wish, then in [
        (Stop.MALFUNCTION, Stop.MALFUNCTION),
        (Stop.SHUTDOWN, Stop.MALFUNCTION),
        (Stop.EMERGENCY, Stop.EMERGENCY),
        (Stop.NONE, Stop.EMERGENCY),
    ]:
        session.raise_stop(wish)
        assert session.stop is then


def test_deadlines() -> None:
    deadlines = Deadlines()
    assert deadlines.next() is None
    deadlines.arm("b", 2.0)
    deadlines.arm("a", 1.0)
    deadlines.arm_once("a", 9.0)
    assert deadlines.next() == 1.0
    deadlines.arm("a", 3.0)
    assert deadlines.take_expired(1.9) == []
    assert deadlines.take_expired(3.0) == ["b", "a"]
    deadlines.cancel("a")
    assert not deadlines.runs("a")
    deadlines.arm("c", 1.0)
    deadlines.clear()
    assert deadlines.next() is None
