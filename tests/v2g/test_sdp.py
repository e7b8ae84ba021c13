import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import WireError
from controller.signals import (
    PeerMisbehaved,
    SdpFailed,
    SeccDiscovered,
    SendDatagram,
    StartSdp,
    StopSdp,
)
from controller.v2g import sdp
from controller.v2g.sdp import SdpClient, SdpServer, SdpState
from tests.v2g.helpers import ADDRESS

PEER = ("fe80::1%3", 40000)
REQUEST = bytes.fromhex("01fe9000000000021000")
TLS_REQUEST = bytes.fromhex("01fe9000000000020000")
RESPONSE = bytes.fromhex("01fe900100000014") + ADDRESS + bytes.fromhex("c3501000")


def test_layouts() -> None:
    assert sdp.encode_request() == REQUEST
    assert sdp.encode_response(ADDRESS, 50_000) == RESPONSE
    assert sdp.parse(REQUEST) == sdp.SdpRequest(0x10, 0x00)
    assert sdp.parse(RESPONSE) == sdp.SdpResponse(ADDRESS, 50_000, 0x10, 0x00)


@pytest.mark.parametrize(
    ("datagram", "words"),
    [
        ("01fe90000000000110", "request of 1 bytes"),
        ("01fe900100000000", "response of 0 bytes"),
        ("01fe800100000000", "payload type 0x8001"),
    ],
)
def test_parse_refuses(datagram: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        sdp.parse(bytes.fromhex(datagram))


def started_server() -> SdpServer:
    server = SdpServer(ADDRESS, 50_000)
    server.receive_signal(StartSdp(), 0.0)
    return server


@pytest.mark.parametrize("request_", [REQUEST, TLS_REQUEST])
def test_server_answers_no_tls_to_the_sender_whatever_is_asked(request_: bytes) -> None:
    assert started_server().receive_data(request_, PEER, 1.0) == [SendDatagram(RESPONSE, PEER)]


def test_server_is_silent_before_start_and_after_stop() -> None:
    server = SdpServer(ADDRESS, 50_000)
    assert server.receive_data(REQUEST, PEER, 0.0) == []
    server.receive_signal(StartSdp(), 0.0)
    server.receive_signal(StopSdp(), 1.0)
    assert server.receive_data(REQUEST, PEER, 2.0) == []
    assert server.answered == 0
    assert server.next_timer() is None


@pytest.mark.parametrize("garbage", [b"", b"hello", RESPONSE, REQUEST + b"\x00", REQUEST[:-1]])
def test_server_ignores_and_counts(garbage: bytes) -> None:
    server = started_server()
    assert server.receive_data(garbage, PEER, 0.0) == []
    assert server.ignored == 1
    assert server.answered == 0


@given(data=st.binary(max_size=64))
def test_random_datagrams_never_raise(data: bytes) -> None:
    client = SdpClient()
    client.receive_signal(StartSdp(), 0.0)
    started_server().receive_data(data, PEER, 0.0)
    client.receive_data(data, PEER, 0.0)


def test_an_address_has_16_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        SdpServer(b"\x00" * 4, 50_000)


def test_client_asks_50_times_every_250_ms_then_fails() -> None:
    client = SdpClient()
    asked = [0.0]
    assert client.receive_signal(StartSdp(), 0.0) == [SendDatagram(REQUEST, None)]
    while (at := client.next_timer()) is not None:
        outputs = client.handle_timer(at)
        if outputs == [SendDatagram(REQUEST, None)]:
            asked.append(at)
    assert asked == pytest.approx([i * 0.25 for i in range(50)])
    assert isinstance(outputs[0], SdpFailed)
    assert client.state is SdpState.IDLE


@pytest.mark.parametrize("port", [1, 15118, 30000, 65535])
def test_client_takes_the_announced_port_whatever_its_range(port: int) -> None:
    client = SdpClient()
    client.receive_signal(StartSdp(), 0.0)
    answer = sdp.encode_response(ADDRESS, port)
    assert client.receive_data(answer, PEER, 0.1) == [SeccDiscovered(ADDRESS, port, False)]
    assert client.receive_data(answer, PEER, 0.2) == []  # chargers answer twice
    assert client.next_timer() is None


def test_client_says_when_the_charger_wants_tls() -> None:
    client = SdpClient()
    client.receive_signal(StartSdp(), 0.0)
    answer = sdp.encode_response(ADDRESS, 50_000, sdp.SECURITY_TLS)
    assert client.receive_data(answer, PEER, 0.1) == [SeccDiscovered(ADDRESS, 50_000, True)]


@pytest.mark.parametrize("answer", [b"\x00", sdp.encode_response(ADDRESS, 0)])
def test_client_goes_on_asking_after_a_bad_answer(answer: bytes) -> None:
    client = SdpClient()
    client.receive_signal(StartSdp(), 0.0)
    assert isinstance(client.receive_data(answer, PEER, 0.1)[0], PeerMisbehaved)
    assert client.receive_data(REQUEST, PEER, 0.1) == []  # another vehicle asks
    assert client.ignored == 2
    assert client.handle_timer(0.2) == []
    assert client.handle_timer(0.25) == [SendDatagram(REQUEST, None)]


def test_client_stops_when_told() -> None:
    client = SdpClient()
    client.receive_signal(StartSdp(), 0.0)
    client.receive_signal(StopSdp(), 0.1)
    assert client.receive_data(RESPONSE, PEER, 0.2) == []
    assert client.handle_timer(0.3) == []
