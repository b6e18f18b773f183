"""Everything that a bill rests on, together: what JSON, page and PDF are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.domain.ids import SessionId
from gateway.domain.signed_session import SignedVerdict
from gateway.domain.tariff import Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One register that was sampled in the session.

    Attributes:
        at: The station's time.
        leaf_index: The leaf of the log that seals it; ``None``: none does.
    """

    at: datetime
    milliwh: int
    context: str
    leaf_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What the meter's signed records prove.

    Attributes:
        reasons: Why they do not suffice, or what contradicts the session.
        key: Curve and point of the pinned key they were checked with; ``None``: none
            was pinned.
    """

    verdict: SignedVerdict
    reasons: tuple[str, ...] = ()
    n_record: int = 0
    key: tuple[str, str] | None = None
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Where the settlement is on the chain."""

    state: str
    tx_hash: str | None
    block: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """Money back for a settled bill.

    Attributes:
        name: As ``C000042``.
        amount_minor: Positive.
        reason: An operator's words.
    """

    name: str
    amount_minor: int
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BillFacts:
    """One bill.

    Attributes:
        status: ``settled`` or ``waived``, which are final, or ``held``: then its
            amounts are a proposal.
        credits_: What was given back since it was settled.
        decision: An operator's words on a bill that was corrected or waived.
        document: See `gateway.domain.bill.Bill.to_json`; ``None``: none can be made.
        meter_serial: As its signed records name it; ``None``: none does.
        chain: ``None`` while the settlement waits, or where nothing is anchored.
    """

    session_id: SessionId
    station_id: str
    evse_id: int
    connector_id: int
    id_token: str | None
    started_at: datetime | None
    ended_at: datetime | None
    stop_reason: str | None
    status: str
    verdict: str
    reasons: tuple[str, ...]
    document: Mapping[str, Any] | None
    sha256: str | None
    tariff: Tariff | None
    decided_at: datetime
    decided_by: str
    registers: tuple[Register, ...]
    signature: Signature
    meter_serial: str | None
    leaf_index: int | None
    session_key: str | None
    chain: Chain | None
    credits_: tuple[Credit, ...] = ()
    decision: str | None = None

    @property
    def is_settled(self) -> bool:
        """Its amounts are owed."""
        return self.status == "settled"

    @property
    def is_final(self) -> bool:
        """It is settled, or waived for good."""
        return self.status != "held"

    @property
    def credited_minor(self) -> int:
        """All that was given back."""
        return sum(one.amount_minor for one in self.credits_)
