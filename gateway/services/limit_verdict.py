"""Whether a session's newest sample speaks for or against a limit that it was sent."""

from dataclasses import dataclass
from datetime import datetime

from gateway.domain import envelope as env
from gateway.domain.envelope import HeldLimit, Progress
from gateway.domain.ids import EvseRef
from gateway.domain.phases import PerPhase
from gateway.domain.session import Session, SessionPhase
from gateway.services.evse_state import EvseState, sample_of, session_ref
from gateway.services.group_state import GroupState
from gateway.services.limit_leaves import DISOBEYED, SEEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the meter shows of a limit.

    Attributes:
        verdict: ``seen`` or ``disobeyed``.
        measured_da: Per phase at the terminals, 0.1 A.
    """

    ref: EvseRef
    command_id: int
    verdict: str
    measured_da: PerPhase


def obeyed(state: GroupState, session: Session, now: datetime) -> Judged | None:
    """A limit of the session that its sample of this moment confirms."""
    one = state.evses.get(session_ref(session))
    if one is None or one.heard_at != now or session.phase is not SessionPhase.RUNNING:
        return None
    held, sample = _newest(one, session), sample_of(session, one.evse)
    if held is None or sample is None or held.progress is not Progress.SEEN:
        return None
    if held.session_id != session.session_id:
        return None  # a safe default: there is no limit of the session's own yet
    allowed = env.counted(one.evse, held, held.schedule.at(now))
    if not env.confirms(one.evse, allowed, sample):
        return None
    return _judged(one, held, SEEN, sample)


def disobeyed(state: GroupState, session: Session) -> Judged | None:
    """The limit that a sample exceeds that exceeds all that may be held.

    Only to be asked of a session that `obedience.misbehaves`.
    """
    one = state.evses.get(session_ref(session))
    if one is None:
        return None
    held, sample = _newest(one, session), sample_of(session, one.evse)
    if held is None or sample is None:
        return None
    return _judged(one, held, DISOBEYED, sample)


def _newest(one: EvseState, session: Session) -> HeldLimit | None:
    """The newest limit that the station accepted; the session's own before others."""
    accepted = [held for held in one.limits if held.progress >= Progress.ACCEPTED]
    mine = [held for held in accepted if held.session_id == session.session_id]
    return max(mine or accepted, key=lambda held: held.sequence, default=None)


def _judged(one: EvseState, held: HeldLimit, verdict: str, sample: PerPhase) -> Judged:
    return Judged(
        ref=one.evse.ref,
        command_id=held.sequence,
        verdict=verdict,
        measured_da=sample,
    )
