"""What the rest of the system sees of an OCPP version: facts in, wire payloads out.

An adapter is a table of actions. ``decode`` turns one CALL of a station into neutral
facts and a question to the system (``Decoded``); when the facts are durable and the
question is answered, ``Decoded.reply`` makes the wire payload from an ``Answer``.
``encode_*`` make payloads of CALLs that we send.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from gateway.domain.certificates import (
    CertificateHash,
    CertificateKind,
    CertificateUse,
)
from gateway.domain.effects import Expectation
from gateway.domain.events import Deviation, Event
from gateway.domain.ids import EvseRef, IdToken, StationId
from gateway.domain.limits import SetLimit
from gateway.domain.transfer import FirmwareWanted, LogWanted
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.certificate_facts import CertificateFact
from gateway.ocpp.frames import Call, Frame, FrameError, encode_error
from gateway.ocpp.inquiries import Finding, Inquiry

if TYPE_CHECKING:
    from gateway.ocpp.lists import ListWords  # it needs `Command` of this module
    from gateway.ocpp.prices import PriceWords  # likewise
    from gateway.ocpp.signing_words import ToldSetting  # likewise


class Durability(StrEnum):
    """What must have happened before a CALL is answered."""

    NONE = "none"
    """Nothing: heartbeats are answered even when the disk is full."""
    COMMIT = "commit"
    """The group commit that holds the facts, or in which a token is judged."""


class TokenStatus(StrEnum):
    """Outcome of an authorization; adapters know each version's word."""

    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    INVALID = "invalid"
    CONCURRENT = "concurrent"
    NO_CREDIT = "no_credit"
    NOT_HERE = "not_here"
    """Valid, but not at this station or EVSE."""
    NOT_NOW = "not_now"
    """Valid, but not at this time."""
    NOT_TYPE = "not_type"
    """Valid, but not at EVSEs of this type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What the system says about a token; adapters leave out what has no room.

    Attributes:
        language: RFC 5646, of what the driver is told; ``language_2``: second choice.
        message: Shown to the driver.
        evse_ids: The only EVSEs it is good for; empty for all.
    """

    status: TokenStatus
    expires_at: datetime | None = None
    group: str | None = None
    language: str | None = None
    language_2: str | None = None
    message: str | None = None
    evse_ids: tuple[int, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything a reply may need; each reply takes what its message has room for.

    Attributes:
        now: Site time of the answer.
        registration: ``Accepted``, ``Pending`` or ``Rejected`` (BootNotification).
        heartbeat_interval_s: Interval for BootNotification answers.
        authorization: For messages that carried a token.
        transaction_number: Number allotted to a 1.6 transaction.
        total_cost: Running or final cost in major currency units (2.0.1), as text.
        finding: What a service said to the message's inquiry, if it has one.
    """

    now: datetime
    registration: str = "Accepted"
    heartbeat_interval_s: int = 300
    authorization: Authorization | None = None
    transaction_number: int | None = None
    total_cost: str | None = None
    finding: Finding | None = None


class Decoded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One understood CALL of a station.

    Attributes:
        action: Wire action.
        events: Facts it states; may be empty.
        durability: What must precede the reply.
        authorize: The token that the message carried, with or without a transaction:
            the system must judge it for ``Answer.authorization``.
        authorize_evse: Where it was presented, if the message says.
        deviations: What was wrong but understood; the message is answered validly.
        reply: Payload of the CALLRESULT, compact-JSON-ready.
        inquiry: What a service must be asked, after the commit, before the reply.
        wants_cost: The reply has room for ``Answer.total_cost``.
    """

    action: str
    events: tuple[Event, ...]
    durability: Durability
    reply: Callable[[Answer], dict[str, object]]
    authorize: IdToken | None = None
    authorize_evse: EvseRef | None = None
    deviations: tuple[Deviation, ...] = ()
    inquiry: Inquiry | None = None
    wants_cost: bool = False


class Understood(Call, frozen=True, gc=False):
    """A CALL that was understood while it was read (`gateway.ocpp.templates`)."""

    decoded: Decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A CALL we send: wire action and payload in wire spelling."""

    action: str
    payload: Mapping[str, object]


class CallOutcome(StrEnum):
    """Version-neutral reading of a station's answer to a command."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SUPPORTED = "not_supported"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationAsked:
    """What a ReserveNow asks for; ``evse_id`` 0 is any."""

    reservation_id: int
    evse_id: int
    token: IdToken
    expires_at: datetime
    group_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityUpgrade:
    """What an upgrade of a station's security profile asks for (A05).

    Attributes:
        profile: 2 or 3.
        slot: Where the network profile goes (2.0.1).
        url: Of our TLS port, without the station's id (2.0.1).
        interface: Word of ``OCPPInterfaceEnumType``.
        message_timeout_s: Told to the station.
    """

    profile: int
    slot: int
    url: str
    interface: str = "Wired0"
    message_timeout_s: int = 30


class Adapter(Protocol):
    """One OCPP version."""

    @property
    def version(self) -> str:
        """``1.6`` or ``2.0.1``."""
        ...

    @property
    def subprotocol(self) -> str:
        """WebSocket subprotocol name."""
        ...

    @property
    def takes_old_tls(self) -> bool:
        """Whether the version may be spoken at the port for TLS below 1.2."""
        ...

    @property
    def lists(self) -> "ListWords":
        """Local authorization lists in the version's words."""
        ...

    @property
    def prices(self) -> "PriceWords":
        """Prices and costs in the version's words."""
        ...

    @property
    def answers_broken_frames(self) -> bool:
        """Whether a frame without a readable id or message type gets an answer.

        2.0.1 does (part 4, 4.2.3 and 4.4), 1.6 has none to give (OCPP-J 1.6, 4.1.3).
        """
        ...

    @property
    def base_reports(self) -> tuple[str, ...]:
        """Base reports that tell the whole model, the best first; 1.6 has none."""
        ...

    def read(self, raw: bytes, station_id: StationId, received_at: datetime) -> Frame:
        """Read one message of a station; a CALL may come `Understood` already.

        Raises:
            FrameError: As `gateway.ocpp.frames.parse` does.
        """
        ...

    def decode(
        self, station_id: StationId, call: Call, received_at: datetime
    ) -> Decoded:
        """Understand one CALL.

        Raises:
            RemoteError: Answer with the CALLERROR it describes.
        """
        ...

    def error_code(self, kind: ErrorKind) -> str:
        """The version's spelling of an error (its own edition's table)."""
        ...

    def check_request(self, action: str, payload: bytes) -> None:
        """Check a CALL that we are about to send against the version's schema.

        Raises:
            RemoteError: ``NOT_IMPLEMENTED`` for an action that is not a central
                system's, ``FORMAT``/``TYPE``/... for a payload the schema refuses.
        """
        ...

    def check_response(self, action: str, payload: bytes) -> None:
        """Check a station's answer against the schema.

        Raises:
            RemoteError: The payload is not valid.
        """
        ...

    def encode_limit(self, command: SetLimit) -> Command:
        """A SetChargingProfile; limits are only ever rounded down."""
        ...

    def encode_clear_limits(self) -> tuple[Command, ...]:
        """Remove every profile that the station holds, ours as well.

        To be sent in order; only if all are accepted, or had nothing to remove, is
        nothing left.
        """
        ...

    def encode_composite(self, evse_id: int, duration_s: int) -> Command:
        """Ask what the station would allow now (GetCompositeSchedule)."""
        ...

    def encode_trigger(self, message: str, evse_id: int | None) -> Command:
        """Ask for a message now (TriggerMessage)."""
        ...

    def encode_sample_trigger(self, evse_id: int) -> Command:
        """Ask for the meter values of a running session now (TriggerMessage)."""
        ...

    def encode_setup(self, *, sample_interval_s: int) -> tuple[Command, ...]:
        """Configuration to send once after an accepted boot: sampling, reports."""
        ...

    def encode_ping_interval(self, interval_s: int) -> Command:
        """Write how often the station pings; 0: never."""
        ...

    def encode_resending(self, name: str, value: int) -> Command:
        """Write how often or after how long it resends; by the name that it told."""
        ...

    def encode_signing(self, told: "Sequence[ToldSetting]") -> tuple[Command, ...]:
        """Have begin and end of transactions signed, by the settings that it told."""
        ...

    def encode_remote_start(
        self, evse_id: int | None, token: IdToken, remote_start_id: int
    ) -> Command:
        """RemoteStartTransaction / RequestStartTransaction."""
        ...

    def encode_remote_stop(self, transaction_id: str) -> Command:
        """RemoteStopTransaction / RequestStopTransaction."""
        ...

    def encode_firmware(self, wanted: FirmwareWanted, request_id: int) -> Command:
        """Ask for a firmware update, the secure one if it is signed."""
        ...

    def encode_log(self, wanted: LogWanted, request_id: int) -> tuple[Command, ...]:
        """Ask for a log; later ones for stations that do not know the first."""
        ...

    def encode_reset(self) -> Command:
        """Restart the station, gently: once nobody charges."""
        ...

    def encode_transaction_status(self, transaction_id: str) -> Command | None:
        """Ask whether messages of a transaction wait; ``None``: cannot be asked."""
        ...

    def outcome(self, action: str, payload: Mapping[str, object]) -> CallOutcome:
        """Read the ``status`` of an answer."""
        ...

    def reservation_asked(self, command: Command) -> ReservationAsked | None:
        """Read a valid ReserveNow; ``None`` for other commands."""
        ...

    def upgrade_asked(self, command: Command) -> SecurityUpgrade | None:
        """The security profile that a valid call would bring a station to."""
        ...

    def encode_upgrade(
        self, asked: SecurityUpgrade, *, known_slots: str
    ) -> tuple[tuple[str, Command], ...]:
        """Commands of an upgrade in order, each with the state it leads to.

        Args:
            asked: What is wanted.
            known_slots: The station's order of network profiles, as far as is known.
        """
        ...

    def encode_cancel_reservation(self, reservation_id: int) -> Command:
        """CancelReservation."""
        ...

    def reservation_cancelled(self, command: Command) -> int | None:
        """The reservation a CancelReservation names; ``None`` for other commands."""
        ...

    def password_asked(self, command: Command) -> bytes | None:
        """The station's new password, where a command would change it."""
        ...

    def expected(self, command: Command, now: datetime) -> Expectation:
        """What shows that the station did what a valid command asks for."""
        ...

    def password_set(
        self, command: Command, answer: Mapping[str, object]
    ) -> bytes | None:
        """The station's new password, where this exchange changed it."""
        ...

    @property
    def certificate_kinds(self) -> tuple[CertificateKind, ...]:
        """What stations of this version keep certificates for."""
        ...

    def encode_sign_trigger(
        self, use: CertificateUse, evse_id: int | None = None
    ) -> Command:
        """Have a station, or one EVSE's controller, ask for a new certificate.

        Raises:
            ValueError: The version has no word for this use or place.
        """
        ...

    def encode_signed(self, chain: str, use: CertificateUse) -> Command:
        """CertificateSigned: PEM, leaf first."""
        ...

    def encode_install(self, kind: CertificateKind, certificate: str) -> Command:
        """InstallCertificate: one root in PEM.

        Raises:
            ValueError: The version installs no certificate of this kind.
        """
        ...

    def encode_delete(self, hashed: CertificateHash) -> Command:
        """DeleteCertificate."""
        ...

    def encode_list(self, kinds: Collection[CertificateKind]) -> tuple[Command, ...]:
        """GetInstalledCertificateIds, as often as needed; no kinds mean all.

        Raises:
            ValueError: The version has no word for a kind.
        """
        ...

    def certificate_fact(
        self, command: Command, answer: Mapping[str, object]
    ) -> CertificateFact | None:
        """What an answered certificate CALL made true; ``None`` for other CALLs."""
        ...


def refusal(
    adapter: Adapter, error: RemoteError, message_id: str | None = None
) -> bytes | None:
    """The CALLERROR frame to answer with, or ``None`` if there must be no answer.

    Args:
        adapter: The link's version.
        error: What ``frames.parse`` or ``Adapter.decode`` raised.
        message_id: The CALL's id, where the error does not know it.
    """
    if isinstance(error, FrameError):
        if not error.may_answer:
            return None
        message_id = error.message_id if error.message_id is not None else message_id
    is_broken = message_id is None or error.kind is ErrorKind.MESSAGE_TYPE
    if is_broken and not adapter.answers_broken_frames:
        return None
    code = adapter.error_code(error.kind)
    return encode_error(message_id, code, error.description, error.details)
