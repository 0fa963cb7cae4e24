"""The Native DICOM Model (PS3.19 A.1) read from XML into the DICOM JSON model (PS3.18 F)."""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.parsers import expat

from pacs.dicom.writing import BadModel

_MAX_DEPTH = 200
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_FIRST_BLOCK = 0x10


class _Node:
    """An element with what is in it; namespaces are left away."""

    __slots__ = ("attributes", "children", "name", "pieces")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[_Node] = []
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def read_native_xml(data: bytes) -> dict[str, Any]:
    """The data set of a document. Raises BadModel; a document type, which could hold entities
    that grow, is refused."""
    root = _tree(data)
    if root.name != "NativeDicomModel":
        raise BadModel(f"the XML is {root.name[:40]!r}, not a NativeDicomModel")
    return _model(root)


def _tree(data: bytes) -> _Node:
    top = _Node("", {})
    open_: list[_Node] = [top]

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(open_) > _MAX_DEPTH:
            raise BadModel("the XML is too deep")
        node = _Node(name.rpartition("}")[2], attributes)
        open_[-1].children.append(node)
        open_.append(node)

    def characters(text: str) -> None:
        open_[-1].pieces.append(text)

    def refuse(*_: object) -> None:
        raise BadModel("the XML has a document type")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: open_.pop()
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadModel(f"the XML cannot be read: {error}") from error
    return top.children[0]


def _model(node: _Node) -> dict[str, Any]:
    model: dict[str, Any] = {}
    creators: dict[tuple[str, str], int] = {}
    for child in node.children:
        if child.name != "DicomAttribute":
            continue
        tag = child.attributes.get("tag", "").upper()
        creator = child.attributes.get("privateCreator")
        if creator and len(tag) == 8:
            tag = _in_block(model, creators, tag, creator)
        model[tag] = _attribute(child)
    return model


def _in_block(
    model: dict[str, Any], creators: dict[tuple[str, str], int], tag: str, creator: str
) -> str:
    """The tag with a block that is reserved for its creator (PS3.5 7.8.1)."""
    group = tag[:4]
    block = creators.get((group, creator))
    if block is None:
        block = _FIRST_BLOCK + sum(other == group for other, _ in creators)
        if block > 0xFF:
            raise BadModel(f"group {group} has too many private creators")
        creators[group, creator] = block
        model[f"{group}00{block:02X}"] = {"vr": "LO", "Value": [creator]}
    return f"{group}{block:02X}{tag[6:]}"


def _attribute(node: _Node) -> dict[str, Any]:
    attribute: dict[str, Any] = {"vr": node.attributes.get("vr", "")}
    values: list[Any] = []
    for child in node.children:
        if child.name == "BulkData":
            attribute["BulkDataURI"] = child.attributes.get("uri", "")
        elif child.name == "InlineBinary":
            attribute["InlineBinary"] = "".join(child.text.split())
        elif child.name in ("Value", "PersonName", "Item"):
            values += _in_place(child, len(values))
    if values:
        attribute["Value"] = values
    return attribute


def _in_place(node: _Node, count: int) -> Iterator[Any]:
    """The value, after empty ones for the numbers that were left out before it."""
    number = node.attributes.get("number", "")
    if number.isdecimal() and count + 1 < int(number) <= count + 1000:
        yield from [None] * (int(number) - count - 1)
    if node.name == "Item":
        yield _model(node)
    elif node.name == "PersonName":
        groups = {child.name: _group(child) for child in node.children if child.name in _GROUPS}
        yield groups or None
    else:
        yield node.text


def _group(node: _Node) -> str:
    parts = {child.name: child.text for child in node.children}
    return "^".join(parts.get(name, "") for name in _COMPONENTS).rstrip("^")
