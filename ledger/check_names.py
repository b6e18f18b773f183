"""The names of all checks, by kind of file, in the order in which they are listed.

They are stable: machines read them. A report lists every name of its kind of file;
one of `WHERE_THERE_IS_ONE` only where the file has what it looks at. What they hold:
docs/evidence.md.
"""

from __future__ import annotations

from typing import Final

PAYMENT: Final = "payment"
"""Of a receipt, where the published contracts have an escrow; not in the page."""
ON_CHAIN: Final = ("chain", "code", "head")
SIGNED: Final = ("signed-data", "meter-signature", "signed-registers", "meter-key")
RECEIPT: Final = (
    *("format", "canonical", "records", "commitment", "inclusion"),
    *("readings", "registers", "bill", "settlement"),
    *("decision", "credits", "invoice"),
    *SIGNED,
    *("consistency", "contracts", *ON_CHAIN),
    *("settlement-on-chain", "credits-on-chain", PAYMENT),
)
IN_LOG: Final = ("record", "inclusion", "consistency")
CERTIFICATE: Final = ("commitment", "limits", "optimality", "rounding")
PLAN: Final = ("format", *CERTIFICATE, "plan", *IN_LOG, *ON_CHAIN, "algorithm")
ROW: Final = (
    *("format", "commitment", "currents", "certificate"),
    *(*IN_LOG, *ON_CHAIN, "algorithm"),
)
CABINET: Final = (
    *("format", "canonical", "commitment", "inclusion", "sub-trees", "consistency"),
)
WHERE_THERE_IS_ONE: Final = frozenset(
    {"decision", "credits", "invoice", "credits-on-chain", "plan", PAYMENT}
)
