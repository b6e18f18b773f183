"""A plan that a solver made, sealed in a site's log, and its bundle as exported."""

import hashlib
import json
import os
from datetime import timedelta
from typing import Any

from ledger import log, record
from ledger.sqlite_store import SqliteStore, append_leaf, transaction
from optimizer.bundle import PLAN
from optimizer.cli import outcome_to_json
from optimizer.document import canonical_json
from optimizer.outcome import ALGORITHM
from optimizer.problem import CabinetProblem
from optimizer.solve import solve
from tests.support.ledger_site import START, Site, utc_text

Document = dict[str, Any]


def solved_plan(problem: CabinetProblem) -> Document:
    """The bundle of a plan before it is in a log."""
    outcome = solve(problem, deadline_s=20)
    bundle = {"format": PLAN, "problem": problem.to_json()} | outcome_to_json(outcome)
    found: Document = json.loads(json.dumps(bundle))
    return found


def seal_plan(site: Site, solved: Document) -> int:
    """Append the leaf of a plan; its index."""
    made = solved["certificate"]
    name, _, version = ALGORITHM.partition("/")
    sealed = record.canonical(
        "plan",
        {
            "plan_id": "1",
            "cabinet_id": "feeder",
            "made_at": utc_text(START + timedelta(hours=1)),
            "algorithm_id": name,
            "algorithm_version": version,
            "inputs_sha256": made["commitment"],
            "outputs_sha256": "00" * 32,
            "certificate_sha256": hashlib.sha256(
                canonical_json(made).encode()
            ).hexdigest(),
            "outcome": solved["outcome"],
        },
    )
    with transaction(site.conn):
        return append_leaf(site.conn, "plan", "feeder", sealed, os.urandom(32), "t")


def in_log(site: Site, index: int, document: Document) -> Document:
    """Add leaf and head to a bundle, as the gateway exports them."""
    store = SqliteStore(site.conn)
    chain = site.worker.bundle_chain
    assert chain is not None
    anchored = store.anchored_head(chain.key, covering=index + 1)
    assert anchored is not None
    leaf = store.leaf(index)
    assert leaf is not None
    assert leaf.salt is not None
    assert leaf.record is not None
    path = log.inclusion_proof(store, index, anchored.size)
    return document | {
        "leaf": {
            "index": index,
            "kind": "plan",
            "salt": leaf.salt.hex(),
            "record": leaf.record.decode(),
            "inclusion": [step.hex() for step in path],
        },
        "head": {
            "size": anchored.size,
            "root": log.head(store, anchored.size).root.hex(),
            "tx_hash": "0x" + anchored.tx_hash.hex(),
            "block": anchored.block_number,
        },
    }
