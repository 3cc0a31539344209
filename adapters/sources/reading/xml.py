"""XML of strangers: it owns parsing without entities and without anything external, and no format.

A bomb, or a document that is nested too deep, is a RecordError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import JSON_DEPTH_MAX, decode_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def parse_xml(data: bytes) -> Element:
    """Return the root of an XML text; RecordError when it is broken or brings entities along."""
    root = _parse(data)
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > JSON_DEPTH_MAX:
            raise LimitError(f"nested deeper than {JSON_DEPTH_MAX}")
        level = [child for element in level for child in element]
    return root


def _parse(data: bytes) -> Element:
    try:
        return fromstring(data)
    except DefusedXmlException as error:
        raise RecordError(f"XML with entities of its own is refused: {error}") from error
    except ParseError as error:
        first = error
    except (ValueError, LookupError) as error:
        raise RecordError(f"no valid XML: {error}") from error
    try:
        # A wrong or missing declaration of the encoding: read the text as we read any other.
        return fromstring(decode_text(data).partition("?>")[2].encode())
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise RecordError(f"no valid XML: {first}") from first
