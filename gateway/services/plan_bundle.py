"""A stored plan as a file that a stranger can check, or one session's row of it."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.domain.ids import SessionId
from gateway.errors import RequestError
from gateway.store import plans
from gateway.store.plans import PlanRow
from gateway.store.times import to_text
from optimizer import CabinetProblem
from optimizer.bundle import PLAN, row_of
from optimizer.outcome import ALGORITHM

MAX_PLAN_ID: Final = 2**63

_LEAVES: Final = (
    "SELECT leaf_index, record FROM leaf"
    " WHERE subject = ? AND kind = 'plan' AND sealed_at = ?"
)

Proof = Callable[[sqlite3.Connection, int], Mapping[str, object]]
"""A leaf with its way to a head, as ``GET /ledger/leaves/{leaf_index}`` shows it."""


def whole(conn: sqlite3.Connection, plan_id: int, proof: Proof) -> dict[str, object]:
    """Return everything of a plan: what an auditor checks.

    Raises:
        RequestError: 404 there is no such plan; 409 it is of an older version.
    """
    row = _plan(conn, plan_id)
    problem, result, certificate = _documents(row)
    return {
        "format": PLAN,
        "outcome": row.outcome,
        "problem": problem,
        "certificate": certificate,
        "plan": result,
        "why": None,
        **_in_log(conn, row, proof),
    }


def of_session(
    conn: sqlite3.Connection, plan_id: int, session_id: SessionId, proof: Proof
) -> dict[str, object]:
    """Return one session's row of a plan: what its driver checks.

    Raises:
        RequestError: 404 there is no such plan, or the session is not in it; 409 it is
            of an older version.
    """
    row = _plan(conn, plan_id)
    document, _, certificate = _documents(row)
    problem = CabinetProblem.from_json(document)
    ids = [session.session_id for session in problem.sessions]
    if session_id not in ids:
        raise RequestError(404, "not_planned", "the plan has no row of this session")
    currents = tuple(tuple(one) for one in certificate["currents_da"])
    salt = bytes.fromhex(certificate["salt"])
    opened = row_of(problem, currents, salt, ids.index(session_id))
    return opened | _in_log(conn, row, proof)


def newest_of(
    conn: sqlite3.Connection, session_id: SessionId, proof: Proof
) -> dict[str, object]:
    """Return a session's row of the newest plan with it.

    Raises:
        RequestError: 404 it is in no plan yet; 409 that is of an older version.
    """
    promise = plans.promise(conn, session_id)
    if promise is None:
        raise RequestError(404, "not_planned", "No plan has been made for it yet.")
    return of_session(conn, promise.plan_id, session_id, proof)


def _plan(conn: sqlite3.Connection, plan_id: int) -> PlanRow:
    row = plans.plan(conn, plan_id) if 0 <= plan_id < MAX_PLAN_ID else None
    if row is None:
        raise RequestError(404, "unknown_plan", "no such plan")
    return row


def _documents(row: PlanRow) -> tuple[object, object, dict[str, Any]]:
    certificate = {} if row.certificate is None else json.loads(row.certificate)
    if certificate.get("algorithm") != ALGORITHM:
        raise RequestError(
            409, "older_plan", f"the plan was not made by {ALGORITHM}: check it as then"
        )
    return json.loads(row.problem), json.loads(row.result), certificate


def _in_log(conn: sqlite3.Connection, row: PlanRow, proof: Proof) -> dict[str, object]:
    """Find the plan's record by its cabinet and time, and the way to a head."""
    wanted = str(row.plan_id)
    for leaf_index, record in conn.execute(
        _LEAVES, (row.cabinet_id, to_text(row.made_at))
    ):
        if record is None or json.loads(record).get("plan_id") != wanted:
            continue
        found = proof(conn, leaf_index)
        leaf = {name: found[name] for name in ("kind", "salt", "record", "inclusion")}
        return {"leaf": {"index": leaf_index} | leaf, "head": found["head"]}
    return {"leaf": None, "head": None}
