"""What the page that verifies receipts knows of contracts, from their artifacts.

``python -m tests.support.page_contracts`` writes it anew.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from ledger.contracts import EARLIER, RELEASE, artifact

FILE = Path(__file__).parents[2] / "gateway/web/templates/verify/65-contracts.js"
EVENTS = {
    "HeadAnchored": "StatusAnchor",
    "SessionSettled": "Settlement",
    "SettlementRepeated": "Settlement",
    "CreditRecorded": "Settlement",
    "CreditRepeated": "Settlement",
    "InvoicesRecorded": "Settlement",
    "WindowNetted": "Settlement",
    "UserNetted": "Settlement",
    "NettedCreditRecorded": "Settlement",
    "NettedCreditRepeated": "Settlement",
}
CALLS: dict[str, tuple[object, ...]] = {
    "settledAmounts": (bytes(32),),
    "settledContent": (bytes(32),),
    "isStartLeafSettled": (0,),
    "isStartLeafClosed": (0,),
    "creditContent": (bytes(32),),
    "nettedCredits": (0, "0x" + "00" * 20),
}
_HOLE = re.compile(rb"\x7f\x00{32}")


def contracts_script() -> str:
    """The script that tells code, events and calls."""
    known: dict[str, Any] = {"code": {}, "events": {}}
    for name in ("StatusAnchor", "Settlement"):
        known["code"][name] = [
            _code(artifact(name, release).runtime_code)
            for release in (RELEASE, *EARLIER.get(name, ()))
        ]
    for event, name in EVENTS.items():
        abi = artifact(name).abi
        (entry,) = (e for e in abi if e["type"] == "event" and e["name"] == event)
        types = ",".join(one["type"] for one in entry["inputs"])
        known["events"][event] = {
            "topic": keccak(text=f"{event}({types})").hex(),
            "topics": [one["name"] for one in entry["inputs"] if one["indexed"]],
            "data": [one["name"] for one in entry["inputs"] if not one["indexed"]],
        }
    known["calls"] = {
        name: artifact("Settlement").calldata(name, *arguments)[:4].hex()
        for name, arguments in CALLS.items()
    }
    text = json.dumps(known, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    return (
        "// Written by tests/support/page_contracts.py from the artifacts: size of the"
        " code, where\n// values are fixed at deployment, SHA-256 with those at zero.\n"
        f"const CONTRACTS = {text};\n"
    )


def _code(code: bytes) -> list[Any]:
    holes = [hole.start() + 1 for hole in _HOLE.finditer(code)]
    return [len(code), holes, hashlib.sha256(code).hexdigest()]


if __name__ == "__main__":
    FILE.write_text(contracts_script(), encoding="utf-8")
