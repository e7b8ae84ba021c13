"""XML signatures as EXI carries them in a message header (W3C XML Signature, core schema).

Of this the ISO 15118 family uses SignedInfo with references, SignatureValue and, at times, KeyInfo.
The rest is declared because each element counts in the event codes, and since a peer may send it.

Where the schema lets elements repeat in any order, each kind has a field of its own, and `order`
says how they stood if not grouped by kind: names of elements, "#text" for text between elements
(`texts`), "*" for what xs:any holds (`others`). There the elements of this schema are known; those
of other schemas are refused.
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    ANY,
    INTEGER,
    STRING,
    TYPE_NAMES,
    UNBOUNDED,
    Binary,
    Declared,
    attribute,
    choice,
    declare,
    document_order,
    element,
    mixed_text,
    sequence,
    text,
    wildcard,
)

NAMESPACE = "http://www.w3.org/2000/09/xmldsig#"
BASE64 = Binary(base64=True)

ELEMENTS = (
    "CanonicalizationMethod",
    "DSAKeyValue",
    "DigestMethod",
    "DigestValue",
    "KeyInfo",
    "KeyName",
    "KeyValue",
    "Manifest",
    "MgmtData",
    "Object",
    "PGPData",
    "RSAKeyValue",
    "Reference",
    "RetrievalMethod",
    "SPKIData",
    "Signature",
    "SignatureMethod",
    "SignatureProperties",
    "SignatureProperty",
    "SignatureValue",
    "SignedInfo",
    "Transform",
    "Transforms",
    "X509Data",
)
"""All global elements of the schema: they count in the root codes of every schema set."""

TYPE_NAMES[NAMESPACE] = (
    "CanonicalizationMethodType",
    "CryptoBinary",
    "DSAKeyValueType",
    "DigestMethodType",
    "DigestValueType",
    "HMACOutputLengthType",
    "KeyInfoType",
    "KeyValueType",
    "ManifestType",
    "ObjectType",
    "PGPDataType",
    "RSAKeyValueType",
    "ReferenceType",
    "RetrievalMethodType",
    "SPKIDataType",
    "SignatureMethodType",
    "SignaturePropertiesType",
    "SignaturePropertyType",
    "SignatureType",
    "SignatureValueType",
    "SignedInfoType",
    "TransformType",
    "TransformsType",
    "X509DataType",
    "X509IssuerSerialType",
)

ANYTHING = choice(ANY, least=0, most=UNBOUNDED)


class SignatureElement(Declared):
    """Base of all classes here."""

    __slots__ = ()
    NAMESPACE = NAMESPACE


@declare("CanonicalizationMethod", content=ANYTHING, mixed=True)
class CanonicalizationMethod(SignatureElement):
    """How SignedInfo becomes bytes."""

    algorithm: str = attribute("Algorithm", STRING)
    others: tuple[SignatureElement, ...] = wildcard(default=())
    texts: tuple[str, ...] = mixed_text(default=())
    order: tuple[str, ...] | None = document_order(default=None)


@declare(
    "SignatureMethod",
    content=sequence(sequence("HMACOutputLength", least=0), ANYTHING),
    mixed=True,
)
class SignatureMethod(SignatureElement):
    """How the bytes are signed."""

    algorithm: str = attribute("Algorithm", STRING)
    hmac_output_length: int | None = element("HMACOutputLength", INTEGER, default=None)
    texts: tuple[str, ...] = mixed_text(default=())
    order: tuple[str, ...] | None = document_order(default=None)


@declare("Transform", content=choice(ANY, "XPath", least=0, most=UNBOUNDED), mixed=True)
class Transform(SignatureElement):
    """One step from the referenced element to the bytes of the digest."""

    algorithm: str = attribute("Algorithm", STRING)
    x_path: tuple[str, ...] = element("XPath", STRING, default=())
    texts: tuple[str, ...] = mixed_text(default=())
    order: tuple[str, ...] | None = document_order(default=None)


@declare("Transforms")
class Transforms(SignatureElement):
    """All steps from the referenced element to the bytes of the digest."""

    transform: tuple[Transform, ...] = element("Transform", most=UNBOUNDED)


@declare("DigestMethod", content=ANYTHING, mixed=True)
class DigestMethod(SignatureElement):
    """How the digest is made."""

    algorithm: str = attribute("Algorithm", STRING)
    texts: tuple[str, ...] = mixed_text(default=())


@declare("Reference")
class Reference(SignatureElement):
    """What is signed, and its digest."""

    id: str | None = attribute("Id", STRING, default=None)
    type: str | None = attribute("Type", STRING, default=None)
    uri: str | None = attribute("URI", STRING, default=None)
    transforms: Transforms | None = element("Transforms", default=None)
    digest_method: DigestMethod = element("DigestMethod")
    digest_value: bytes = element("DigestValue", BASE64)


@declare("SignedInfo")
class SignedInfo(SignatureElement):
    """What the signature is made over."""

    id: str | None = attribute("Id", STRING, default=None)
    canonicalization_method: CanonicalizationMethod = element("CanonicalizationMethod")
    signature_method: SignatureMethod = element("SignatureMethod")
    reference: tuple[Reference, ...] = element("Reference", most=UNBOUNDED)


@declare("SignatureValue")
class SignatureValue(SignatureElement):
    """The signature."""

    id: str | None = attribute("Id", STRING, default=None)
    value: bytes = text(BASE64)


@declare(
    "DSAKeyValue",
    content=sequence(
        sequence("P", "Q", least=0),
        sequence("G", least=0),
        "Y",
        sequence("J", least=0),
        sequence("Seed", "PgenCounter", least=0),
    ),
)
class DsaKeyValue(SignatureElement):
    """A DSA public key."""

    p: bytes | None = element("P", BASE64, default=None)
    q: bytes | None = element("Q", BASE64, default=None)
    g: bytes | None = element("G", BASE64, default=None)
    y: bytes = element("Y", BASE64)
    j: bytes | None = element("J", BASE64, default=None)
    seed: bytes | None = element("Seed", BASE64, default=None)
    pgen_counter: bytes | None = element("PgenCounter", BASE64, default=None)


@declare("RSAKeyValue")
class RsaKeyValue(SignatureElement):
    """An RSA public key."""

    modulus: bytes = element("Modulus", BASE64)
    exponent: bytes = element("Exponent", BASE64)


@declare("KeyValue", content=choice("DSAKeyValue", "RSAKeyValue", ANY), mixed=True)
class KeyValue(SignatureElement):
    """A public key."""

    dsa_key_value: DsaKeyValue | None = element("DSAKeyValue", default=None)
    rsa_key_value: RsaKeyValue | None = element("RSAKeyValue", default=None)
    texts: tuple[str, ...] = mixed_text(default=())
    order: tuple[str, ...] | None = document_order(default=None)


@declare("RetrievalMethod")
class RetrievalMethod(SignatureElement):
    """Where the key is found."""

    type: str | None = attribute("Type", STRING, default=None)
    uri: str | None = attribute("URI", STRING, default=None)
    transforms: Transforms | None = element("Transforms", default=None)


@declare()
class X509IssuerSerial(SignatureElement):
    """Name of a certificate: who made it, and the number he gave it."""

    x509_issuer_name: str = element("X509IssuerName", STRING)
    x509_serial_number: int = element("X509SerialNumber", INTEGER)


@declare(
    "X509Data",
    content=choice(
        "X509IssuerSerial",
        "X509SKI",
        "X509SubjectName",
        "X509Certificate",
        "X509CRL",
        ANY,
        most=UNBOUNDED,
    ),
)
class X509Data(SignatureElement):
    """Certificates, or names of certificates."""

    x509_issuer_serial: tuple[X509IssuerSerial, ...] = element("X509IssuerSerial", default=())
    x509_ski: tuple[bytes, ...] = element("X509SKI", BASE64, default=())
    x509_subject_name: tuple[str, ...] = element("X509SubjectName", STRING, default=())
    x509_certificate: tuple[bytes, ...] = element("X509Certificate", BASE64, default=())
    x509_crl: tuple[bytes, ...] = element("X509CRL", BASE64, default=())
    order: tuple[str, ...] | None = document_order(default=None)


@declare(
    "PGPData",
    content=choice(
        sequence("PGPKeyID", sequence("PGPKeyPacket", least=0), ANYTHING),
        sequence("PGPKeyPacket", ANYTHING),
    ),
)
class PgpData(SignatureElement):
    """A PGP key."""

    pgp_key_id: bytes | None = element("PGPKeyID", BASE64, default=None)
    pgp_key_packet: bytes | None = element("PGPKeyPacket", BASE64, default=None)


@declare(
    "SPKIData",
    content=sequence("SPKISexp", choice(ANY, least=0), most=UNBOUNDED),
)
class SpkiData(SignatureElement):
    """An SPKI key."""

    spki_sexp: tuple[bytes, ...] = element("SPKISexp", BASE64)


@declare(
    "KeyInfo",
    content=choice(
        "KeyName",
        "KeyValue",
        "RetrievalMethod",
        "X509Data",
        "PGPData",
        "SPKIData",
        "MgmtData",
        ANY,
        most=UNBOUNDED,
    ),
    mixed=True,
)
class KeyInfo(SignatureElement):
    """The key that verifies the signature."""

    id: str | None = attribute("Id", STRING, default=None)
    key_name: tuple[str, ...] = element("KeyName", STRING, default=())
    key_value: tuple[KeyValue, ...] = element("KeyValue", default=())
    retrieval_method: tuple[RetrievalMethod, ...] = element("RetrievalMethod", default=())
    x509_data: tuple[X509Data, ...] = element("X509Data", default=())
    pgp_data: tuple[PgpData, ...] = element("PGPData", default=())
    spki_data: tuple[SpkiData, ...] = element("SPKIData", default=())
    mgmt_data: tuple[str, ...] = element("MgmtData", STRING, default=())
    texts: tuple[str, ...] = mixed_text(default=())
    order: tuple[str, ...] | None = document_order(default=None)


@declare("Object", content=ANYTHING, mixed=True)
class Object(SignatureElement):
    """Anything else that a signature may carry."""

    encoding: str | None = attribute("Encoding", STRING, default=None)
    id: str | None = attribute("Id", STRING, default=None)
    mime_type: str | None = attribute("MimeType", STRING, default=None)
    others: tuple[SignatureElement, ...] = wildcard(default=())
    texts: tuple[str, ...] = mixed_text(default=())
    order: tuple[str, ...] | None = document_order(default=None)


@declare("Manifest")
class Manifest(SignatureElement):
    """References that are checked one by one."""

    id: str | None = attribute("Id", STRING, default=None)
    reference: tuple[Reference, ...] = element("Reference", most=UNBOUNDED)


@declare("SignatureProperty", content=choice(ANY, most=UNBOUNDED), mixed=True)
class SignatureProperty(SignatureElement):
    """Something about the signature, of another schema: it cannot be decoded or encoded."""

    id: str | None = attribute("Id", STRING, default=None)
    target: str = attribute("Target", STRING)


@declare("SignatureProperties")
class SignatureProperties(SignatureElement):
    """Things about the signature."""

    id: str | None = attribute("Id", STRING, default=None)
    signature_property: tuple[SignatureProperty, ...] = element("SignatureProperty", most=UNBOUNDED)


@declare("Signature")
class Signature(SignatureElement):
    """A signature over parts of the message."""

    id: str | None = attribute("Id", STRING, default=None)
    signed_info: SignedInfo = element("SignedInfo")
    signature_value: SignatureValue = element("SignatureValue")
    key_info: KeyInfo | None = element("KeyInfo", default=None)
    object: tuple[Object, ...] = element("Object", least=0, most=UNBOUNDED, default=())


CODEC: Codec[Signature] = Codec(
    "xmldsig", NAMESPACE, roots=(Signature,), others={NAMESPACE: ELEMENTS}
)
"""For fragments: ISO 15118-2 signs the SignedInfo of these grammars."""
