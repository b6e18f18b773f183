"""The session as a fold over its facts; idempotent, tolerant of order."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain.events import ChargingState
from gateway.domain.ids import SessionId, StationId


class SessionPhase(StrEnum):
    """Where a session is in its life."""

    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """State of one session.

    Attributes:
        transaction_id: Wire id as text; ``None`` only before the store allots one.
        id_token: As presented at start; ``None`` if none was.
        started_at: Station's time of the start.
        ended_at: Station's time of the end.
        register_start_milliwh: Start register.
        register_last_milliwh: Highest register seen.
        register_end_milliwh: End register, once ended.
        power_w: Latest total active power, W.
        current_a: Latest current per phase L1..L3 as the station reports them, A.
        sampled_at: Station's time of the latest live sample.
        verdicts: Reason words found so far (``docs/metering``).
    """

    session_id: SessionId
    station_id: StationId
    evse_id: int
    connector_id: int
    phase: SessionPhase
    transaction_id: str | None = None
    id_token: str | None = None
    token_kind: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    received_at: datetime | None = None
    register_start_milliwh: int | None = None
    register_last_milliwh: int | None = None
    register_end_milliwh: int | None = None
    power_w: float | None = None
    current_a: tuple[float, float, float] | None = None
    soc_percent: float | None = None
    sampled_at: datetime | None = None
    charging_state: ChargingState | None = None
    stop_reason: str | None = None
    sequences_seen: int = 0
    verdicts: tuple[str, ...] = ()

    @property
    def energy_milliwh(self) -> int:
        """Energy delivered so far by registers; 0 while unknown."""
        last = self.register_end_milliwh
        if last is None:
            last = self.register_last_milliwh
        if last is None or self.register_start_milliwh is None:
            return 0
        return max(0, last - self.register_start_milliwh)
