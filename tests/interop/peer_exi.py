"""EXIficient, as the PyPI package `iso15118` brings it; runs in `.venv-interop`, not in our venv.

Reads one JSON object a line and answers with one:

    {"schema": "din", "fragment": false, "xml": "<...>"}  ->  {"hex": "809a..."}
    {"schema": "din", "fragment": false, "hex": "809a..."}  ->  {"xml": "<...>"}
    {"schema": "din", "fragment": false, "repeat": 300, "xml": "<...>"}  ->  {"us": 612.0}

or with {"error": ...}. The package itself goes from JSON to XML before EXI and loses things on the
way. Here EXIficient gets XML, and grammars made from the schema files of the package, with the
options of ISO 15118-2 [V2G2-102]: schema-informed, not strict, bit-packed, no string table.
"""

import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMAS = {
    "sap": "V2G_CI_AppProtocol.xsd",
    "din": "din_spec/V2G_CI_MsgDef.xsd",
    "iso2": "iso15118_2/V2G_CI_MsgDef.xsd",
    "iso20-common": "iso15118_20/V2G_CI_CommonMessages.xsd",
    "iso20-ac": "iso15118_20/V2G_CI_AC.xsd",
    "iso20-dc": "iso15118_20/V2G_CI_DC.xsd",
    "iso20-acdp": "iso15118_20/V2G_CI_ACDP.xsd",
    "iso20-wpt": "iso15118_20/V2G_CI_WPT.xsd",
    "dsig": "xmldsig-core-schema.xsd",
}

PIECE = 4000
"""Characters fetched from Java at once: py4j writes longer texts in two parts, and the second waits
40 ms for the acknowledgement of the first (Nagle's algorithm and delayed acknowledgements)."""


class Exificient:
    """Coders by schema and mode, each made when first needed."""

    def __init__(self, jvm: Any, schemas: Path) -> None:  # noqa: ANN401
        self._jvm = jvm
        self._schemas = schemas
        self._grammars: dict[str, Any] = {}
        self._factories: dict[tuple[str, bool], Any] = {}
        self._writer = jvm.javax.xml.transform.TransformerFactory.newInstance().newTransformer()
        parsers = jvm.javax.xml.parsers.SAXParserFactory.newInstance()
        parsers.setNamespaceAware(True)
        self._reader = parsers.newSAXParser().getXMLReader()

    def _factory(self, schema: str, fragment: bool) -> Any:  # noqa: ANN401
        if (schema, fragment) not in self._factories:
            core = self._jvm.com.siemens.ct.exi.core
            if schema not in self._grammars:
                maker = self._jvm.com.siemens.ct.exi.grammars.GrammarFactory.newInstance()
                path = str(self._schemas / SCHEMAS[schema])
                self._grammars[schema] = maker.createGrammars(path)
            factory = core.helpers.DefaultEXIFactory.newInstance()
            factory.setValueMaxLength(0)
            factory.setValuePartitionCapacity(0)
            factory.setGrammars(self._grammars[schema])
            factory.setFragment(fragment)
            self._factories[schema, fragment] = factory
        return self._factories[schema, fragment]

    def encode(self, schema: str, fragment: bool, xml: str) -> bytes:
        """Return the EXI of an XML document."""
        jvm = self._jvm
        out = jvm.java.io.ByteArrayOutputStream()
        result = jvm.com.siemens.ct.exi.main.api.sax.EXIResult(self._factory(schema, fragment))
        result.setOutputStream(out)
        self._reader.setContentHandler(result.getHandler())
        self._reader.parse(jvm.org.xml.sax.InputSource(jvm.java.io.StringReader(xml)))
        return bytes(out.toByteArray())

    def decode(self, schema: str, fragment: bool, exi: bytes) -> str:
        """Return the XML of an EXI stream."""
        jvm = self._jvm
        source = jvm.com.siemens.ct.exi.main.api.sax.EXISource(self._factory(schema, fragment))
        stream = jvm.java.io.ByteArrayInputStream(exi)
        source.setInputSource(jvm.org.xml.sax.InputSource(stream))
        out = jvm.java.io.StringWriter()
        result = jvm.javax.xml.transform.stream.StreamResult(out)
        self._writer.transform(source, result)
        text = out.getBuffer()
        length = text.length()
        pieces = (min(at + PIECE, length) for at in range(0, length, PIECE))
        return "".join(str(text.substring((end - 1) // PIECE * PIECE, end)) for end in pieces)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one line."""
        where = question["schema"], question["fragment"]
        repeat = int(question.get("repeat", 1))
        call: Callable[[], bytes | str]
        if "xml" in question:

            def call() -> bytes:
                return self.encode(*where, question["xml"])
        else:

            def call() -> str:
                return self.decode(*where, bytes.fromhex(question["hex"]))

        if repeat == 1:
            found = call()
            return {"xml": found} if isinstance(found, str) else {"hex": found.hex()}
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return {"us": statistics.median(times) * 1e6}


@contextmanager
def exificient() -> Iterator[Exificient]:
    """Start Java and give the codec; everything is gone afterwards."""
    import iso15118.shared  # type: ignore[import-not-found]
    from py4j import java_gateway  # type: ignore[import-not-found]

    shared = Path(iso15118.shared.__file__).parent
    port, token = java_gateway.launch_gateway(
        classpath=str(shared / "EXICodec.jar"), die_on_exit=True, enable_auth=True
    )
    gateway = java_gateway.JavaGateway(
        gateway_parameters=java_gateway.GatewayParameters(
            port=port, auth_token=token, auto_convert=True
        )
    )
    folder = Path(tempfile.mkdtemp(prefix="ccs-exi-"))
    try:
        _copy_schemas(shared / "schemas", folder)
        yield Exificient(gateway.jvm, folder)
    finally:
        gateway.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _copy_schemas(source: Path, target: Path) -> None:
    """Copy the schemas to where they can be loaded.

    DIN and -20 import xmldsig from their own folder, where the package has none, and it names a
    DTD on the web, which it does not need.
    """
    shutil.copytree(source, target, dirs_exist_ok=True)
    dsig = (source / "xmldsig-core-schema.xsd").read_text(encoding="utf-8")
    dsig = re.sub(r"<!DOCTYPE.*?\]>", "", dsig, flags=re.DOTALL)
    for folder in (target, *filter(Path.is_dir, target.iterdir())):
        (folder / "xmldsig-core-schema.xsd").write_text(dsig, encoding="utf-8")


def main() -> None:
    """Answer until the end of the input."""
    with exificient() as codec:
        sys.stdout.write('{"ready": true}\n')
        sys.stdout.flush()
        for line in sys.stdin:
            try:
                answer = codec.answer(json.loads(line))
            except Exception as error:  # whatever Java throws is the answer
                text = str(getattr(error, "java_exception", error))
                answer = {"error": f"{type(error).__name__}: {text.splitlines()[0]}"}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
