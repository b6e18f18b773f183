"""What the meter of a session signed, for other software to check."""

import sqlite3

from gateway.domain.ids import SessionId
from gateway.domain.ocmf import Curve
from gateway.domain.signed_session import SignedVerdict
from gateway.domain.signed_xml import container
from gateway.errors import RequestError
from gateway.services.meter_keys import MeterKey, key_info
from gateway.store import signed
from gateway.store.money import BillRow


def signed_xml(conn: sqlite3.Connection, session_id: SessionId) -> str:
    """The signed records of a session with the key they were checked with.

    Raises:
        RequestError: 404 there are none.
    """
    stored = signed.find(conn, session_id)
    key = None
    if stored is not None and stored.key is not None:
        curve, point = stored.key
        key = key_info(MeterKey(curve=Curve(curve), point=point))
    found = container(signed.texts(conn, session_id), key)
    if found is None:
        raise RequestError(404, "no_signed_data", "no record of it was signed")
    return found


def told_to_driver(
    conn: sqlite3.Connection, session_id: SessionId, bill: BillRow | None, path: str
) -> dict[str, str | None]:
    """What the meter signed of a settled bill; nothing is said of others.

    Args:
        conn: For reading.
        session_id: The session.
        bill: As it is now.
        path: Of the driver's page.
    """
    if bill is None or bill.status != "settled":
        return {"meter_signature": None, "signed_url": None}
    stored = signed.of_bill(conn, session_id, bill.document)
    if stored is None:
        return {"meter_signature": SignedVerdict.UNSIGNED.value, "signed_url": None}
    verdict = stored.finding.verdict
    is_proof = verdict is SignedVerdict.OK
    return {
        "meter_signature": verdict.value,
        "signed_url": f"{path}/signed-data.xml" if is_proof else None,
    }
