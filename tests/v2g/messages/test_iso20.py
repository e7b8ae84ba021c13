"""The ISO 15118-20 declarations: schema sets, facets, signed elements, physical values."""

import subprocess
import sys
from typing import Any

import pytest

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.compile import FAILURES
from controller.v2g.exi.schema import INFO, Declared
from controller.v2g.messages import iso20_common as common
from controller.v2g.messages import iso20_dc as dc
from controller.v2g.messages import iso20_types as types
from controller.v2g.messages import iso20_wpt as wpt
from controller.v2g.messages import protocols, xmldsig

HEADER = types.MessageHeader(session_id=bytes(range(8)), time_stamp=1_761_652_395)
OK = types.ResponseCode.OK
W = types.RationalNumber(exponent=3, value=11)
DYNAMIC = common.DynamicEvpptControlMode()


# ------------------------------------------------------------------------------------- schema sets


@pytest.mark.parametrize(
    ("name", "elements", "messages"),
    [
        ("iso20-common", 54, 26),
        ("iso20-ac", 42, 4),
        ("iso20-dc", 48, 10),
        ("iso20-acdp", 34, 8),
        ("iso20-wpt", 38, 12),
    ],
)
def test_root_codes(name: str, elements: int, messages: int) -> None:
    """Each namespace counts its own elements, two of CommonTypes and 24 of XML signatures."""
    grammar = protocols.codec(name).grammar
    assert len(grammar.elements) == elements
    assert len(grammar.roots) == messages
    assert grammar.root_bits == 6
    assert grammar.elements == sorted(grammar.elements)
    assert grammar.elements.count("Signature") == 1
    assert set(xmldsig.ELEMENTS) <= set(grammar.elements)


def test_roots_are_sorted_by_local_name() -> None:
    """Where libcbv2g sorts by type instead, ConnectRes and DisconnectReq change places."""
    acdp = protocols.codec("iso20-acdp").grammar.elements
    assert acdp[:4] == [
        "ACDP_ConnectReq",
        "ACDP_ConnectRes",
        "ACDP_DisconnectReq",
        "ACDP_DisconnectRes",
    ]
    wpt_elements = [
        name for name in protocols.codec("iso20-wpt").grammar.elements if "Fine" in name
    ]
    assert wpt_elements == [
        "WPT_FinePositioningReq",
        "WPT_FinePositioningRes",
        "WPT_FinePositioningSetupReq",
        "WPT_FinePositioningSetupRes",
    ]


@pytest.mark.parametrize("name", protocols.ISO20)
def test_groups_have_the_members_of_their_own_namespace(name: str) -> None:
    """DC and AC both extend CLReqControlMode; neither may count the other's modes."""
    grammar = protocols.codec(name).grammar
    kind = name.partition("-")[2].upper()
    modes = [each for each in grammar.elements if each.endswith("_CLReqControlMode")]
    expected = ["BPT_Dynamic_{}", "BPT_Scheduled_{}", "Dynamic_{}", "Scheduled_{}"]
    found = [each.format(kind) + "_CLReqControlMode" for each in expected]
    assert modes == (found if kind in ("AC", "DC") else [])


def test_every_class_is_documented_and_reached() -> None:
    modules = {f"controller.v2g.messages.{protocols.PROTOCOLS[n].module}" for n in protocols.ISO20}
    ours = {cls for cls in INFO if cls.__module__ in modules | {types.__name__}}
    assert len(ours) == 189
    assert all(cls.__doc__ for cls in ours)
    reached: set[type] = set()
    for name in protocols.ISO20:
        grammar = protocols.codec(name).grammar
        assert grammar.fragments
        reached |= set(grammar.types)
    bases = {base for cls in reached for base in cls.__mro__}
    assert ours <= bases


def test_types_are_shared_by_the_namespaces() -> None:
    assert types.MessageHeader in common.CODEC.grammar.types
    assert types.MessageHeader in dc.CODEC.grammar.types


# --------------------------------------------------------------------------------------- facets


def _profile(count: int) -> common.PowerDeliveryReq:
    entry = common.PowerScheduleEntry(duration=60, power=W)
    return common.PowerDeliveryReq(
        header=HEADER,
        ev_processing=types.Processing.Finished,
        charge_progress=common.ChargeProgress.Start,
        ev_power_profile=common.EvPowerProfile(
            time_anchor=0,
            dynamic_evppt_control_mode=DYNAMIC,
            ev_power_profile_entries=common.EvPowerProfileEntryList(
                ev_power_profile_entry=(entry,) * count
            ),
        ),
    )


def _installation(**key: bytes) -> common.SignedInstallationData:
    values: dict[str, Any] = {"secp521_encrypted_private_key": bytes(94)} | key
    return common.SignedInstallationData(
        id="id1",
        contract_certificate_chain=common.ContractCertificateChain(
            certificate=b"c", sub_certificates=common.SubCertificates(certificate=(b"s",))
        ),
        ecdh_curve=common.EcdhCurve.SECP521,
        dh_public_key=values.pop("dh_public_key", bytes(133)),
        **values,
    )


def _installation_res(**key: bytes) -> common.CertificateInstallationRes:
    return common.CertificateInstallationRes(
        header=HEADER,
        response_code=OK,
        evse_processing=types.Processing.Finished,
        cps_certificate_chain=common.CertificateChain(certificate=b"c"),
        signed_installation_data=_installation(**key),
        remaining_contract_certificate_chains=0,
    )


def _setup(ids: str) -> common.SessionSetupReq:
    return common.SessionSetupReq(header=HEADER, evcc_id=ids)


REFUSED: list[tuple[Codec[Any], types.V2gMessage, str, str]] = [
    (
        common.CODEC,
        common.SessionSetupReq(
            header=types.MessageHeader(session_id=bytes(7), time_stamp=0), evcc_id="x"
        ),
        "SessionSetupReq.Header.SessionID",
        "7 bytes, at least 8 are allowed",
    ),
    (
        common.CODEC,
        _setup("x" * 256),
        "SessionSetupReq.EVCCID",
        "256 characters, at most 255 are allowed",
    ),
    (
        common.CODEC,
        _profile(2049),
        "PowerDeliveryReq.EVPowerProfile.EVPowerProfileEntries.EVPowerProfileEntry",
        "no tuple of at most 2048 items",
    ),
    (
        common.CODEC,
        _profile(0),
        "PowerDeliveryReq.EVPowerProfile.EVPowerProfileEntries.EVPowerProfileEntry",
        "missing",
    ),
    (
        common.CODEC,
        _installation_res(dh_public_key=bytes(132)),
        "CertificateInstallationRes.SignedInstallationData.DHPublicKey",
        "132 bytes, at least 133 are allowed",
    ),
    (
        common.CODEC,
        _installation_res(x448_encrypted_private_key=bytes(84)),
        "CertificateInstallationRes.SignedInstallationData.X448_EncryptedPrivateKey",
        "one too many here",
    ),
    (
        dc.CODEC,
        dc.DcPreChargeRes(
            header=HEADER,
            response_code=OK,
            evse_present_voltage=types.RationalNumber(exponent=128, value=0),
        ),
        "DC_PreChargeRes.EVSEPresentVoltage.Exponent",
        "128 is not in -128..127",
    ),
    (
        dc.CODEC,
        dc.DcChargeLoopReq(
            header=HEADER,
            meter_info_requested=False,
            ev_present_voltage=W,
            cl_req_control_mode=types.ClReqControlMode(),
        ),
        "DC_ChargeLoopReq.CLReqControlMode",
        "ClReqControlMode is abstract: give one of its subclasses",
    ),
    (
        wpt.CODEC,
        wpt.WptPairingReq(
            header=HEADER,
            ev_processing=types.Processing.Ongoing,
            observed_id_code=0,
            ev_result_code=wpt.WptEvResult.EVResultUnknown,
        ),
        "WPT_PairingReq.ObservedIDCode",
        "0 is not in 1..4294967295",
    ),
]


@pytest.mark.parametrize(("codec", "message", "path", "reason"), REFUSED)
def test_encoder_refuses_what_breaks_a_facet(
    codec: Codec[Any], message: types.V2gMessage, path: str, reason: str
) -> None:
    with pytest.raises(ExiError) as raised:
        codec.encode(message)
    assert (raised.value.path, raised.value.reason) == (path, reason)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1024, 1025, 2047, 2048])
def test_lists_up_to_their_maximum(count: int) -> None:
    """After the last permitted item its code is gone; libcbv2g writes it all the same."""
    message = _profile(count)
    payload = common.encode(message)
    assert common.decode_counting(payload) == (message, 0)
    if count < 1024:  # not too long for the generated code
        assert common.CODEC._compiled.decode(payload) == (message, 0)


def test_the_maximum_of_an_item_list_bit_by_bit() -> None:
    """ServiceList takes eight: after the eighth the end takes one bit, not two."""
    service = common.Service(service_id=1, free_service=True)

    def width(count: int) -> int:
        services = common.ServiceList(service=(service,) * count)
        return len(common.CODEC.encode_fragment(services, "VASList"))

    bits = 1 + (1 + 1 + 8 + 1) + (1 + 1 + 1 + 1) + 1  # code, ServiceID, FreeService, end
    for count, last in ((7, 2), (8, 1)):
        total = 8 + 9 + bits * count + (count - 1) + last + 9
        assert width(count) == -(-total // 8)
    with pytest.raises(ExiError, match="one too many"):
        width(9)


def test_what_is_below_its_facet_is_decoded() -> None:
    heard = wpt.WptPairingReq(
        header=types.MessageHeader(session_id=b"\1", time_stamp=0),
        ev_processing=types.Processing.Ongoing,
        observed_id_code=0,
        ev_result_code=wpt.WptEvResult.EVResultUnknown,
    )
    payload = wpt.CODEC.encode(heard, strict=False)
    assert wpt.decode(payload) == heard
    with pytest.raises(FAILURES):
        wpt.CODEC._compiled.encode(heard)


# ------------------------------------------------------------------------------------- fragments


def test_fragments_of_signed_elements() -> None:
    data = _installation()
    fragment = common.CODEC.encode_fragment(data)
    assert common.CODEC.decode_fragment(fragment) == ("SignedInstallationData", data)
    chain = common.SignedCertificateChain(id="id1", certificate=b"c")
    fragment = common.CODEC.encode_fragment(chain, "OEMProvisioningCertificateChain")
    assert common.CODEC.decode_fragment(fragment) == ("OEMProvisioningCertificateChain", chain)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("iso20-common", 281),
        ("iso20-ac", 154),
        ("iso20-dc", 149),
        ("iso20-acdp", 129),
        ("iso20-wpt", 193),
    ],
)
def test_fragment_codes_count_elements_that_no_message_has(name: str, count: int) -> None:
    elements = [(each, uri) for each, uri, _ in protocols.codec(name).grammar.fragments]
    assert len(elements) == len(set(elements)) == count
    assert ("RootCertificateID", types.NAMESPACE) in elements
    assert ("AckMaxDelay", types.NAMESPACE) in elements
    assert (("TargetOffsetX", common.NAMESPACE) in elements) == (name == "iso20-common")


# ------------------------------------------------------------------------------- physical values


@pytest.mark.parametrize(
    ("amount", "finest", "exponent", "value"),
    [
        (0.0, -3, -3, 0),
        (400.0, -3, -1, 4000),
        (-32.768, -3, -3, -32768),
        (32.768, -3, -2, 3277),
        (150_000.0, -3, 1, 15000),
        (1e12, -3, 8, 10000),
        (0.00025, -5, -5, 25),
        (1.0, 0, 0, 1),
    ],
)
def test_rational_numbers_from_si(amount: float, finest: int, exponent: int, value: int) -> None:
    made = types.RationalNumber.from_si(amount, finest)
    assert (made.exponent, made.value) == (exponent, value)
    assert made.si == pytest.approx(amount, rel=2e-4)


@pytest.mark.parametrize("amount", [float("inf"), float("nan"), 1e140])
def test_numbers_that_are_not_rational(amount: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        types.RationalNumber.from_si(amount)


@pytest.mark.parametrize(("exponent", "value"), [(-128, 32767), (127, -32768)])
def test_extreme_rational_numbers(exponent: int, value: int) -> None:
    number = types.RationalNumber(exponent=exponent, value=value)
    assert number.si == pytest.approx(value * 10.0**exponent)


# ----------------------------------------------------------------------------------- recognition


def test_recurring_headers_are_the_same_object() -> None:
    header = types.MessageHeader(session_id=b"recurred", time_stamp=1_761_652_395)
    other = types.MessageHeader(session_id=b"recurred", time_stamp=1_761_652_396)
    payloads = [dc.encode(dc.DcCableCheckReq(header=each)) for each in (header, header, other)]
    first, second, third = (dc.decode(payload).header for payload in payloads)
    assert first == header
    assert second is first
    assert third == other


def test_a_signed_header_is_not_kept() -> None:
    signature = xmldsig.Signature(
        signed_info=xmldsig.SignedInfo(
            canonicalization_method=xmldsig.CanonicalizationMethod(algorithm="c"),
            signature_method=xmldsig.SignatureMethod(algorithm="s"),
            reference=(
                xmldsig.Reference(
                    digest_method=xmldsig.DigestMethod(algorithm="d"), digest_value=bytes(32)
                ),
            ),
        ),
        signature_value=xmldsig.SignatureValue(value=bytes(64)),
    )
    header = types.MessageHeader(session_id=bytes(8), time_stamp=1, signature=signature)
    message: Declared = dc.DcCableCheckReq(header=header)
    for _ in range(2):
        assert dc.decode(dc.encode(message)) == message  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ import

LOADED = """
import sys
from controller.v2g.messages import {modules}
names = [n.rpartition(".")[2] for n in sys.modules if n.startswith("controller.v2g.messages.")]
print(*sorted(names))
"""


@pytest.mark.parametrize(
    ("modules", "loaded"),
    [
        ("din, sap", "din sap xmldsig"),
        ("protocols", "protocols"),
        ("iso20_dc", "iso20_dc iso20_types xmldsig"),
        ("iso20_common", "iso20_common iso20_types xmldsig"),
    ],
)
def test_a_protocol_loads_no_other(modules: str, loaded: str) -> None:
    code = LOADED.format(modules=modules)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == loaded.split()
