"""Signed records in the container that the transparency software of S.A.F.E. opens.

A ``values`` element with a ``value`` for each record; the record's own text stands in
it unchanged, so that the software checks what the meter signed.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Final

from gateway.domain.ocmf import BEGIN, ENDS, OcmfRecord, parse
from gateway.domain.signed_json import SignedDataError

TRANSACTION: Final = 1
"""Number that the values of one transaction share; the software pairs them by it."""
_NO_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def container(texts: Iterable[str], public_key: bytes | None) -> str | None:
    """Write the document.

    Args:
        texts: Records of one session; what is no OCMF, or cannot stand in XML, is left
            out.
        public_key: SubjectPublicKeyInfo of the meter, where it is known.

    Returns:
        ``None`` without a record.
    """
    key = ""
    if public_key is not None:
        digits = public_key.hex().upper()
        key = f'    <publicKey encoding="plain">{digits}</publicKey>\n'
    values = []
    for text in texts:
        try:
            record = parse(text)
        except SignedDataError:
            continue
        written = _written(text)
        if written is None:
            continue
        values.append(
            f'  <value transactionId="{TRANSACTION}"{_context(record)}>\n'
            f'    <signedData format="OCMF" encoding="plain">{written}</signedData>\n'
            f"{key}  </value>\n"
        )
    if not values:
        return None
    body = "".join(values)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<values>\n{body}</values>\n'


def _written(text: str) -> str | None:
    """The text as XML reads it back; a bare CR would come back as a line feed."""
    tidy = text.rstrip(" \t\r\n\0|")
    if _NO_XML.search(tidy):
        return None
    return escape(tidy, quote=False).replace("\r", "&#13;")


def _context(record: OcmfRecord) -> str:
    """Begin or end; one of a whole transaction is a begin that has its end with it."""
    kinds = {one.kind for one in record.readings}
    if BEGIN in kinds:
        return ' context="Transaction.Begin"'
    return ' context="Transaction.End"' if kinds & ENDS else ""
