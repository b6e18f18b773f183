"""What operators do with a station's certificates: renew, list, install, delete."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias

from cryptography import x509

from gateway.clock import Clock
from gateway.domain.certificates import (
    ROOT_KINDS,
    CertificateHash,
    CertificateKind,
    CertificateUse,
    plain_serial,
)
from gateway.domain.ids import StationId
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    NotConnected,
    RequestError,
)
from gateway.ocpp.adapter import Adapter, Command
from gateway.services.certificate_intake import load_pem
from gateway.services.certificates import (
    CertificateRecords,
    ExpiryWatch,
    HeldCertificate,
)
from gateway.services.x509 import (
    MAX_CERTIFICATE_CHARS,
    CertificateError,
    fingerprint_of,
    is_ca,
    is_within,
    parse_chain,
    subject_of,
    to_pem,
)
from gateway.store.certificates import IssuedCertificate
from gateway.store.times import to_text

View: TypeAlias = dict[str, Any]


class Call(Protocol):
    """See `StationCalls.call`."""

    def __call__(
        self,
        station_id: StationId,
        command: Command,
        timeout_s: float,
        *,
        asked_by: str = ...,
    ) -> Awaitable[Mapping[str, object]]:
        """Send a call and wait for its answer."""
        ...


ANSWERED: Final = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of a CALL, in the words of ``POST /stations/{id}/calls``."""

    outcome: str
    status: str | None = None
    detail: str | None = None

    def view(self, command: Command) -> View:
        """For the API."""
        return {
            "outcome": self.outcome,
            "command": command.action,
            "status": self.status,
            "detail": self.detail,
        }


class CertificateDesk:
    """The API's counter for certificates. Loop thread only.

    Args:
        call: Sends a CALL and has its answer observed.
        adapter_of: The dialect of a connected station.
        has_authority: Whether a renewal could be signed.
        clock: The time that X.509 counts in.
    """

    def __init__(
        self,
        *,
        records: CertificateRecords,
        watch: ExpiryWatch,
        call: Call,
        adapter_of: Callable[[StationId], Adapter | None],
        has_authority: bool,
        clock: Clock,
        call_timeout_s: float,
    ) -> None:
        self._records = records
        self._watch = watch
        self._call = call
        self._adapter_of = adapter_of
        self._has_authority = has_authority
        self._clock = clock
        self._call_timeout_s = call_timeout_s

    async def renew(
        self,
        station_id: StationId,
        use: CertificateUse,
        *,
        evse_id: int | None,
        asked_by: str,
    ) -> View:
        """Have a station ask for a new certificate; the rest follows by itself.

        Raises:
            RequestError: 409 not connected, or nobody could sign; 422 the station's
                version knows no such certificate.
        """
        if not self._has_authority:
            raise RequestError(
                409, "no_authority", "config.toml has no [ca]: nothing would be signed"
            )
        adapter = self._connected(station_id)
        try:
            command = adapter.encode_sign_trigger(use, evse_id)
        except ValueError as error:
            raise RequestError(422, "not_in_this_version", str(error)) from error
        return (await self._send(station_id, command, asked_by)).view(command)

    async def refreshed(
        self,
        station_id: StationId,
        kinds: Sequence[CertificateKind] = (),
        *,
        asked_by: str,
    ) -> list[View]:
        """What a station holds, asked now, and what we signed for it.

        Raises:
            RequestError: 409 not connected; 422 a kind that the station's version does
                not know.
        """
        self._connected(station_id)
        is_live = await self._list(station_id, kinds, asked_by)
        return await self.stored(station_id, kinds, is_live=is_live)

    async def stored(
        self,
        station_id: StationId,
        kinds: Sequence[CertificateKind] = (),
        *,
        is_live: bool = False,
    ) -> list[View]:
        """What a station last said it holds, and what we signed for it."""
        held = await self._records.held_by(station_id, kinds)
        views = [self._held_view(one, is_live=is_live) for one in held]
        seen = {fingerprint_of(one.known) for one in held if one.known is not None}
        views += [
            self._issued_view(row)
            for row in await self._records.issued_to(station_id)
            if not kinds and row.fingerprint not in seen
        ]
        return views

    async def install(
        self,
        station_id: StationId,
        kind: CertificateKind,
        text: str,
        *,
        asked_by: str,
    ) -> View:
        """Install a root that is one: checked before it is sent.

        Raises:
            RequestError: 409 not connected; 422 no certificate, no root, not valid now,
                or a kind that the station's version does not know.
        """
        root = self._root(text)
        adapter = self._connected(station_id)
        try:
            command = adapter.encode_install(kind, to_pem([root]))
        except ValueError as error:
            raise RequestError(422, "not_in_this_version", str(error)) from error
        return (await self._send(station_id, command, asked_by)).view(command)

    async def delete(
        self, station_id: StationId, name: str, *, override: bool, asked_by: str
    ) -> View:
        """Delete what a name (serial number or SHA-256) means, and nothing else.

        The station is asked first, and hash data go back as it spelled them
        (2.0.1, M04.FR.07).

        Raises:
            RequestError: 409 not connected, not listed now, several match, or it is the
                last valid root of its kind; 404 none matches.
        """
        adapter = self._connected(station_id)
        if not await self._list(station_id, (), asked_by):
            raise RequestError(
                409, "not_listed", "the station does not say which certificates it has"
            )
        held = await self._records.held_by(station_id)
        hashed = self._named(held, name)
        if not override:
            self._check_not_last(held, hashed)
        command = adapter.encode_delete(hashed)
        return (await self._send(station_id, command, asked_by)).view(command)

    async def _list(
        self, station_id: StationId, kinds: Sequence[CertificateKind], asked_by: str
    ) -> bool:
        """Ask the station; whether it answered as asked. The records follow."""
        adapter = self._adapter_of(station_id)
        if adapter is None:
            return False
        try:
            commands = adapter.encode_list(kinds)
        except ValueError as error:
            raise RequestError(422, "not_in_this_version", str(error)) from error
        is_told = True
        for command in commands:
            answered = await self._send(station_id, command, asked_by)
            is_told &= answered.status in {"Accepted", "NotFound"}
        return is_told

    async def _send(
        self, station_id: StationId, command: Command, asked_by: str
    ) -> Answered:
        try:
            answer = await self._call(
                station_id, command, self._call_timeout_s, asked_by=asked_by
            )
        except CallRefused as error:
            return Answered(
                outcome="error", detail=f"{error.code}: {error.description}"
            )
        except CallTimedOut:
            return Answered(outcome="timeout")
        except NotConnected:
            return Answered(outcome="disconnected")
        except CallFailed as error:
            return Answered(outcome="error", detail=str(error))
        status = answer.get("status")
        return Answered(
            outcome=ANSWERED, status=status if isinstance(status, str) else None
        )

    def _connected(self, station_id: StationId) -> Adapter:
        adapter = self._adapter_of(station_id)
        if adapter is None:
            raise RequestError(409, "not_connected", f"{station_id} is not connected")
        return adapter

    def _root(self, text: str) -> x509.Certificate:
        try:
            chain = parse_chain(text, max_chars=MAX_CERTIFICATE_CHARS)
        except CertificateError as error:
            raise RequestError(
                422, "bad_certificate", f"certificate: {error}"
            ) from error
        root = chain[0]
        if len(chain) > 1:
            raise RequestError(422, "bad_certificate", "certificate: more than one")
        if not is_ca(root):
            raise RequestError(
                422, "bad_certificate", "certificate: it may not sign certificates"
            )
        if not is_within(root, self._clock.now()):
            raise RequestError(
                422, "bad_certificate", "certificate: it is not valid now"
            )
        return root

    def _named(self, held: Sequence[HeldCertificate], name: str) -> CertificateHash:
        wanted = name.strip().casefold().replace(":", "")
        found: dict[tuple[str, str, str, str], CertificateHash] = {}
        for one in held:
            names = {one.entry.hash.key[3]}
            if one.known is not None:
                names.add(fingerprint_of(one.known))
            if wanted in names or plain_serial(name) in names:
                found[one.entry.hash.key] = one.entry.hash
            for child in one.entry.children:
                if plain_serial(name) == child.key[3]:
                    found[child.key] = child
        if not found:
            raise RequestError(
                404, "unknown_certificate", f"the station has no certificate {name!r}"
            )
        if len(found) > 1:
            raise RequestError(
                409, "ambiguous", f"{len(found)} certificates have the number {name!r}"
            )
        return next(iter(found.values()))

    def _check_not_last(
        self, held: Sequence[HeldCertificate], hashed: CertificateHash
    ) -> None:
        """A station without a root connects to nobody (2.0.1, M04, remarks)."""
        kinds = {one.entry.kind for one in held if one.entry.hash.key == hashed.key}
        for kind in kinds & ROOT_KINDS:
            others = [
                one
                for one in held
                if one.entry.kind is kind
                and one.entry.hash.key != hashed.key
                and (one.known is None or is_within(one.known, self._clock.now()))
            ]
            if not others:
                raise RequestError(
                    409,
                    "last_root",
                    f"it is the last valid {kind.value} of the station; an admin may"
                    " delete it with override=true",
                )

    def _held_view(self, held: HeldCertificate, *, is_live: bool) -> View:
        known = held.known
        return {
            "source": "station",
            "type": held.entry.kind.value,
            **_hash_view(held.entry.hash),
            "children": [_hash_view(child) for child in held.entry.children],
            "status": "installed",
            "is_live": is_live,
            "told_at": to_text(held.told_at),
            **self._name_view(known),
        }

    def _issued_view(self, row: IssuedCertificate) -> View:
        leaf = load_pem(row.chain.encode())[0]
        return {
            "source": "issued",
            "type": row.use.value,
            "serial_number": row.serial,
            "status": row.status,
            "is_live": False,
            "told_at": to_text(row.changed_at),
            **self._name_view(leaf),
        }

    def _name_view(self, known: x509.Certificate | None) -> View:
        if known is None:
            return {
                "fingerprint": None,
                "subject": None,
                "not_before": None,
                "not_after": None,
                "expiring": None,
            }
        return {
            "fingerprint": fingerprint_of(known),
            "subject": subject_of(known),
            "not_before": _text(known.not_valid_before_utc),
            "not_after": _text(known.not_valid_after_utc),
            "expiring": self._watch.is_expiring(known.not_valid_after_utc),
        }


def _hash_view(hashed: CertificateHash) -> View:
    return {
        "serial_number": hashed.serial_number,
        "hash_algorithm": hashed.algorithm,
        "issuer_name_hash": hashed.issuer_name_hash,
        "issuer_key_hash": hashed.issuer_key_hash,
    }


def _text(moment: datetime) -> str:
    return to_text(moment)
