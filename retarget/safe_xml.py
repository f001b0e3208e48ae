"""XML from strangers: parsed without entities, document types or anything fetched, and within bounds."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from firsthand.capture.errors import FirsthandError

MAX_BYTES, MAX_ELEMENTS, MAX_DEPTH = 20_000_000, 200_000, 200


def read_xml(path: Path) -> tuple[Element, bytes]:
    """The root element of a file, and its bytes. Raises `FirsthandError`: one sentence that names the file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FirsthandError(f"cannot read {path}: {error.strerror or error}") from error
    return parse_xml(content, path.name), content


def parse_xml(content: bytes, name: str) -> Element:
    """The root element of some XML; `name` is for messages."""
    if len(content) > MAX_BYTES:
        raise FirsthandError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB; give a robot's description, whose meshes are other files")
    builder, depth, count = TreeBuilder(), 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            raise FirsthandError(f"{name} has more than {MAX_ELEMENTS} elements, or {MAX_DEPTH} inside each other; no robot does")
        if tag.startswith("xacro:"):
            raise FirsthandError(f"{name} is a xacro, which a program must expand first; make a URDF of it with: xacro {name} > robot.urdf")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def document_type(*_: Any) -> None:
        raise FirsthandError(f"{name} declares a document type or entities, which can hide other files or fill the memory; "
                             "delete its <!DOCTYPE ...> and write the values themselves")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = document_type
    try:
        parser.Parse(content, True)
        return builder.close()
    except expat.ExpatError as error:
        raise FirsthandError(f"{name} is not XML: {expat.errors.messages[error.code]} in line {error.lineno}") from error
    except (ValueError, LookupError) as error:  # an encoding nobody knows
        raise FirsthandError(f"{name} is not XML: {error}") from error
