"""The verifier of a cabinet's history, as a report like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.cabinet_proof import check_history
from ledger.errors import BundleError
from ledger.heads import KnownHeads, check_consistency
from ledger.verdicts import Check, VerificationReport

NAME: Final = "sub-trees"


def verify_cabinet(
    document: Mapping[str, object], heads: KnownHeads | None
) -> VerificationReport:
    """Verify a cabinet's history.

    Args:
        document: As it was read from the file.
        heads: Of other times, which the file's head must agree with.
    """
    try:
        found = check_history(document)
    except BundleError as error:
        return VerificationReport(checks=(Check.false(NAME, str(error)),))
    begin = (
        "from its beginning"
        if found.goes_on_from is None
        else f"after the timestep of leaf {found.goes_on_from}"
    )
    erased = f", {found.erased} of them erased" if found.erased else ""
    told = (
        f"{found.steps} timesteps of {found.cabinet_id} {begin}, none left out, with"
        f" {found.members} leaves{erased}, in a log of {found.size}"
    )
    return VerificationReport(
        checks=(
            Check.true(NAME, told),
            check_consistency(heads, found.size, found.root),
        )
    )
