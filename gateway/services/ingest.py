"""Frame -> facts -> commit -> reply, in that order.

A station deletes a transaction message once it is answered, so the reply is built
from the receipt of the commit. Between the frame and the reply there are callbacks
only: no task, no future per message.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, Protocol, TypeAlias

import msgspec
import structlog
from msgspec.structs import replace

from gateway.bus import Bus, FactCommitted
from gateway.clock import Clock
from gateway.domain.events import Event, SessionStarted
from gateway.domain.ids import IdToken, StationId
from gateway.domain.session import Session, SessionPhase
from gateway.errors import ErrorKind, RemoteError, StoreError, StoreShed
from gateway.ocpp.adapter import (
    Adapter,
    Answer,
    Authorization,
    Decoded,
    Durability,
    TokenStatus,
    refusal,
)
from gateway.ocpp.frames import (
    Call,
    encode_call,
    encode_error,
    encode_result,
)
from gateway.ocpp.inbound import empty
from gateway.ocpp.inquiries import Finding, Inquiry
from gateway.ocpp.rpc import NO_ANSWER
from gateway.store.entry import Entry, Receipt, TokenDecision
from gateway.store.facts import RefusedFrame
from gateway.store.jobs import Job
from gateway.store.sqlite import Appended
from gateway.store.writer import Done

BOOT: Final = "BootNotification"
REFUSED_PER_MINUTE: Final = 60
"""Refused frames kept per connection and minute; the rest are only counted."""
MAX_REFUSED_BYTES: Final = 16_384
PERSONAL_ACTIONS: Final = frozenset({"NotifyCustomerInformation"})
"""Actions whose contents are about a person: refused ones are kept without them."""

UNANSWERABLE: Final = "stored, but not to be answered"

_EMPTY: Final = b"{}"

_log: Final = structlog.get_logger()


class EventLog(Protocol):
    """Where facts go; `gateway.store.sqlite.Store`."""

    def append(self, entry: Entry, on_done: Appended) -> None:
        """Store a message; the callback comes after the sync."""
        ...


class JobQueue(Protocol):
    """Where refused frames go; `gateway.store.writer.Writer`."""

    def submit_with(self, job: Job[None], on_done: Done[None]) -> None:
        """Run a job in a group commit."""
        ...


Inquire: TypeAlias = Callable[
    [StationId, Inquiry, Callable[[Finding | None], None]], None
]
"""Ask a service; the callback gets the finding exactly once."""
Refuse: TypeAlias = Callable[[Call, RemoteError, Callable[[bytes], None] | None], None]
"""Keep a refused CALL, then answer it through the callback, if there is one."""


@dataclass(slots=True, kw_only=True)
class StationContext:
    """What the ingest knows of one connected station.

    Attributes:
        is_accepted: Its last boot was accepted: it may go on without another.
        expected: Actions we asked for; answered even before an accepted boot.
        boot_answer: What its last boot was answered with, as far as is known.
    """

    station_id: StationId
    adapter: Adapter
    is_accepted: bool
    remote: str = ""
    expected: set[str] = field(default_factory=set)
    boot_answer: str | None = None


AskCost: TypeAlias = Callable[[Session, Callable[[str | None], None]], None]
OnPresented: TypeAlias = Callable[[StationContext, IdToken, TokenDecision], None]
"""A token was held to a reader, and this was answered."""


class _Message(msgspec.Struct, frozen=True, gc=False):
    """A decoded message on its way through the commit; ``respond`` may be spent."""

    station: StationContext
    call: Call
    decoded: Decoded
    respond: Callable[[bytes], None] | None
    refuse: Refuse


@dataclass(slots=True)
class IngestCounters:
    """What happened to messages; read by the metrics."""

    messages: int = 0
    refused: int = 0
    unanswered: int = 0
    repeated: int = 0


class Ingest:
    """Takes the messages of all stations. Loop thread only.

    Args:
        log: Where facts go.
        jobs: Where refused frames go.
        bus: Hears of every committed fact.
        clock: Site time.
        loop_time: The loop's monotonic seconds, for bounding rates.
        heartbeat_interval_s: Told to accepted stations.
        pending_retry_s: Told to stations that are not accepted yet.
        total_cost: Cost of a running session so far, in major units; quick.
        final_cost: Finds out what an ended session costs, and calls back.
        on_gap: Called with a session of which messages are missing.
        inquire: Asks a service what a message needs to know before its reply; without
            one every inquiry stays without a finding.
        on_boot: Called after a boot was answered, with the registration.
        on_presented: Called after a token without a transaction was answered.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        jobs: JobQueue,
        bus: Bus,
        clock: Clock,
        loop_time: Callable[[], float],
        heartbeat_interval_s: int = 300,
        pending_retry_s: int = 60,
        total_cost: Callable[[Session], str | None] | None = None,
        final_cost: AskCost | None = None,
        on_gap: Callable[[Session], None] | None = None,
        inquire: Inquire | None = None,
        on_boot: Callable[[StationContext, str], None] | None = None,
        on_presented: OnPresented | None = None,
    ) -> None:
        self.counters = IngestCounters()
        self.loop_time = loop_time
        self._log = log
        self._jobs = jobs
        self._bus = bus
        self._clock = clock
        self._heartbeat_interval_s = heartbeat_interval_s
        self._pending_retry_s = pending_retry_s
        self._total_cost = total_cost
        self._final_cost = final_cost
        self._on_gap = on_gap
        self._inquire = inquire
        self._on_boot = on_boot
        self._on_presented = on_presented
        self._is_down = False

    @property
    def is_down(self) -> bool:
        """Whether nothing could be stored when it was tried last."""
        return self._is_down

    def sink(self, station: StationContext) -> "StationSink":
        """The place for one connection's frames."""
        return StationSink(self, station)

    def handle(  # noqa: PLR0917 - keywords cost, and this runs for every message
        self,
        station: StationContext,
        call: Call,
        respond: Callable[[bytes], None],
        refuse: Refuse,
        raw: bytes,
        now: datetime,
    ) -> None:
        """Take one CALL; ``respond`` is called at most once, now or after the commit.

        It gets `NO_ANSWER` for what could not be stored: the station sends it again.
        """
        self.counters.messages += 1
        try:
            if not station.is_accepted:
                _check_may_speak(station, call.action)
            decoded = station.adapter.decode(station.station_id, call, now)
        except RemoteError as error:
            refuse(call, error, respond)
            return
        later: Callable[[bytes], None] | None = respond
        if decoded.durability is Durability.NONE:
            respond(_result(call, decoded, Answer(now=now)))
            if not decoded.events:
                return
            later = None
        entry = Entry(
            station_id=station.station_id,
            message_id=call.message_id,
            action=call.action,
            raw=raw,
            payload=call.payload,
            events=decoded.events,
            received_at=now,
            is_ours=_is_ours(decoded.events),
            deviations=decoded.deviations,
            authorize=decoded.authorize,
            authorize_evse=decoded.authorize_evse,
        )
        message = _Message(station, call, decoded, later, refuse)
        try:
            self._log.append(entry, partial(self._committed, message))
        except StoreShed:
            self._give_up(message)  # the writer says so once
        except StoreError as error:
            self._give_up(message)
            self._note_outage(error)

    def keep_refused(
        self,
        station: StationContext,
        call: Call | None,
        raw: bytes,
        error: RemoteError,
        then: Callable[[], None],
    ) -> None:
        """Store a refused frame; losing one to a full queue loses no fact.

        ``then`` runs once the frame can be read, or when it cannot be kept: unlike an
        acknowledgement, a refusal promises nothing.
        """
        self.counters.refused += 1
        job = RefusedFrame(
            station_id=station.station_id,
            received_at=self._clock.now(),
            message_id="" if call is None else call.message_id,
            action="" if call is None else call.action,
            error_kind=error.kind.value,
            description=error.description,
            raw=raw[:MAX_REFUSED_BYTES],
        )

        def kept(_result: None, failure: BaseException | None) -> None:
            if failure is not None:
                self._note_outage(failure)
            then()

        try:
            self._jobs.submit_with(job, kept)
        except StoreShed:
            then()
        except StoreError as down:
            self._note_outage(down)
            then()

    def _committed(
        self, message: _Message, receipt: Receipt | None, error: BaseException | None
    ) -> None:
        station, respond = message.station, message.respond
        if receipt is None:
            if error is None or isinstance(error, StoreError):
                self._give_up(message)
                self._note_outage(error)
            else:
                self._fail(message, error, "the message was not stored")
            return
        if self._is_down:
            self._is_down = False
            _log.info("store.recovered")
        if receipt.facts and not receipt.is_new:
            self.counters.repeated += 1
        if receipt.registration is not None:
            station.boot_answer = receipt.registration
            station.is_accepted = receipt.registration == "Accepted"
        if respond is not None:
            try:
                self._respond(message, respond, receipt)
            except Exception as failure:  # noqa: BLE001 - the outer edge of an answer: logged, and the facts stand
                self._fail(message, failure, UNANSWERABLE)
        self._publish(receipt)
        if receipt.registration is not None and self._on_boot is not None:
            self._on_boot(station, receipt.registration)
        token, decision = message.decoded.authorize, receipt.authorization
        if token and decision and self._on_presented and not receipt.facts:
            self._on_presented(station, token, decision)

    def _respond(
        self, message: _Message, respond: Callable[[bytes], None], receipt: Receipt
    ) -> None:
        if message.decoded.reply is empty:
            respond(encode_result(message.call.message_id, _EMPTY))
            return
        answer = self._answer(message, receipt)

        def later(told: Answer) -> None:
            try:
                respond(_result(message.call, message.decoded, told))
            except Exception as failure:  # noqa: BLE001 - as in _committed, but later
                self._fail(message, failure, UNANSWERABLE)

        inquiry, session = message.decoded.inquiry, receipt.session
        if inquiry is not None and self._inquire is not None:
            self._inquire(
                message.station.station_id,
                inquiry,
                lambda finding: later(replace(answer, finding=finding)),
            )
        elif (
            self._final_cost is not None
            and message.decoded.wants_cost
            and session is not None
            and session.phase is SessionPhase.ENDED
        ):
            self._final_cost(
                session, lambda cost: later(replace(answer, total_cost=cost))
            )
        else:
            respond(_result(message.call, message.decoded, answer))

    def _fail(self, message: _Message, error: BaseException, told: str) -> None:
        """A bug of ours: say so, keep the frame, and let the station try again."""
        _log.error(
            "message.failed",
            station_id=message.station.station_id,
            action=message.call.action,
            exc_info=error,
        )
        internal = RemoteError(ErrorKind.INTERNAL, told)
        message.refuse(message.call, internal, message.respond)

    def _publish(self, receipt: Receipt) -> None:
        for fact in receipt.facts:
            session = fact.session
            if self._on_gap and session and session.has_gap and fact.is_new:
                self._on_gap(session)
            self._bus.publish(
                FactCommitted(
                    offset=receipt.offset,
                    event=fact.event,
                    session=fact.session,
                    is_new=fact.is_new,
                    is_backlog=fact.is_backlog,
                )
            )
            if isinstance(fact.event, SessionStarted):
                for closed in receipt.closed:
                    self._bus.publish(
                        FactCommitted(
                            offset=receipt.offset,
                            event=fact.event,
                            session=closed,
                            is_backlog=fact.is_backlog,
                        )
                    )

    def _answer(self, message: _Message, receipt: Receipt) -> Answer:
        registration = receipt.registration or "Accepted"
        session, cost = receipt.session, None
        if message.decoded.wants_cost and session and self._total_cost:
            cost = self._total_cost(session)
        return Answer(
            now=self._clock.now(),
            registration=registration,
            heartbeat_interval_s=(
                self._heartbeat_interval_s
                if registration == "Accepted"
                else self._pending_retry_s
            ),
            authorization=_authorization(receipt.authorization),
            transaction_number=receipt.transaction_number,
            total_cost=cost,
        )

    def _give_up(self, message: _Message) -> None:
        """What is not stored is not answered, and may come again."""
        self.counters.unanswered += 1
        if message.respond is not None:
            message.respond(NO_ANSWER)

    def _note_outage(self, error: BaseException | None) -> None:
        if not self._is_down:
            self._is_down = True
            _log.error("store.failed", error=str(error))


class StationSink:
    """One connection's way into the ingest; satisfies ``server.link.FrameSink``."""

    def __init__(self, ingest: Ingest, station: StationContext) -> None:
        self.station = station
        self._ingest = ingest
        self._minute = -1
        self._kept = 0

    def handle(
        self,
        frame: Call,
        respond: Callable[[bytes], None],
        raw: bytes,
        received_at: datetime,
    ) -> None:
        """Take one CALL; whatever it does, it ends here and not in the reader."""
        try:
            self._ingest.handle(
                self.station, frame, respond, self._refuse_call, raw, received_at
            )
        except Exception:  # noqa: BLE001 - the outer edge of a message: logged and answered
            _log.exception(
                "message.failed",
                station_id=self.station.station_id,
                action=frame.action,
            )
            error = RemoteError(ErrorKind.INTERNAL, "the message was not understood")
            self._refuse_call(frame, error, respond)

    def refuse(self, raw: bytes, error: Exception) -> bytes | None:
        """Keep a frame that cannot be read; the answer to it, if there is one."""
        if not isinstance(error, RemoteError):
            error = RemoteError(ErrorKind.RPC_FRAMEWORK, str(error))
        self._keep(None, raw, error, _nothing)
        return refusal(self.station.adapter, error)

    def _refuse_call(
        self,
        call: Call,
        error: RemoteError,
        respond: Callable[[bytes], None] | None,
    ) -> None:
        """Keep a refused CALL, then answer it, unless it was answered already."""
        kept = b"{}" if call.action in PERSONAL_ACTIONS else call.payload
        raw = encode_call(call.message_id, call.action, kept)
        code = self.station.adapter.error_code(error.kind)
        answer = encode_error(call.message_id, code, error.description, error.details)
        then = _nothing if respond is None else partial(respond, answer)
        self._keep(call, raw, error, then)

    def _keep(
        self,
        call: Call | None,
        raw: bytes,
        error: RemoteError,
        then: Callable[[], None],
    ) -> None:
        """Store the frame, unless this connection has filled its share already."""
        minute = int(self._ingest.loop_time() // 60)
        if minute != self._minute:
            self._minute, self._kept = minute, 0
        self._kept += 1
        if self._kept > REFUSED_PER_MINUTE:
            self._ingest.counters.refused += 1
            then()
            return
        self._ingest.keep_refused(self.station, call, raw, error, then)


def _nothing() -> None:
    """What follows a refusal that needs no answer."""


def _check_may_speak(station: StationContext, action: str) -> None:
    """Before an accepted boot only a boot is answered (1.6-J errata 3.10; B02, B03).

    Raises:
        RemoteError: ``SecurityError``.
    """
    if action != BOOT and action not in station.expected:
        raise RemoteError(
            ErrorKind.SECURITY, "not accepted yet: send a BootNotification first"
        )


def _is_ours(events: Sequence[Event]) -> bool:
    """Whether the central system numbers the transactions of these events."""
    for event in events:  # noqa: SIM110 - a generator costs more, and this is the hot path
        if getattr(event, "sequence", None) is not None:
            return False
    return True


def _result(call: Call, decoded: Decoded, answer: Answer) -> bytes:
    return encode_result(call.message_id, decoded.reply(answer))


def _authorization(decision: TokenDecision | None) -> Authorization | None:
    if decision is None:
        return None
    return Authorization(
        status=TokenStatus(decision.status),
        expires_at=decision.expires_at,
        group=decision.group,
        language=decision.language,
        language_2=decision.language_2,
        message=decision.message,
        evse_ids=decision.evse_ids,
    )
