"""Certificates of stations: who holds what, until when, and what operators do to it.

Whatever a station answers to a certificate CALL, whoever sent it, ends in the records
(`CertificateRecords.observe`), so a list can be given also while it is offline.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, assert_never

import structlog
from cryptography import x509

from gateway.clock import Clock
from gateway.domain.certificates import (
    CertificateHash,
    CertificateKind,
    ListedCertificate,
)
from gateway.domain.ids import StationId
from gateway.ocpp.certificate_facts import (
    ChainAnswered,
    DeleteAnswered,
    InstallAnswered,
    ListAnswered,
)
from gateway.services.station_calls import Exchange
from gateway.services.x509 import (
    ALGORITHMS,
    CertificateError,
    fingerprint_of,
    hash_of,
    is_self_signed,
    name_hash,
    parse_chain,
    serial_of,
    subject_of,
    to_pem,
)
from gateway.store import certificates as rows
from gateway.store.certificates import IssuedCertificate, KnownCertificate
from gateway.store.queries import Queries
from gateway.store.writer import Writer

MAX_ISSUED: Final = 200
"""Certificates of one station that a list goes back to."""
GAUGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "certificates_installed": "Station certificates in use that we signed",
        "certificates_expiring": (
            "Of those, how many end within ca.expiry_warning_days, or have ended"
        ),
        "certificate_first_end_seconds": (
            "Seconds until the first of them ends; only while there is one"
        ),
    }
)
"""For ``/metrics``: what each counts, by name."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCertificate:
    """An entry of a station's store as it last told of it.

    Attributes:
        told_at: Site time of that.
        known: The certificate behind the hashes, if it passed through our hands.
    """

    entry: ListedCertificate
    told_at: datetime
    known: x509.Certificate | None


class CertificateRecords:
    """Keeps what stations say of certificates, and reads it again. Loop thread only."""

    def __init__(self, *, writer: Writer, queries: Queries) -> None:
        self._writer = writer
        self._queries = queries
        self.changed = asyncio.Event()
        """Set once the certificates in use are others than before."""

    async def observe(self, exchange: Exchange) -> None:
        """Record what an answered certificate CALL made true."""
        fact = exchange.adapter.certificate_fact(exchange.command, exchange.answer)
        station_id, at = exchange.station_id, exchange.answered_at
        match fact:
            case None:
                return
            case ChainAnswered():
                await self._chain_answered(station_id, fact, at)
            case InstallAnswered():
                await self._installed(station_id, fact, at)
            case DeleteAnswered():
                if fact.is_gone:
                    await self._writer.run(
                        lambda conn: rows.remove_listed(conn, station_id, fact.hash)
                    )
            case ListAnswered():
                await self._writer.run(
                    lambda conn: rows.replace_listing(
                        conn, station_id, fact.kinds, fact.entries, at
                    )
                )
            case _:
                assert_never(fact)

    async def issued_to(self, station_id: StationId) -> list[IssuedCertificate]:
        """What we signed for a station, newest first."""
        found = await self._queries.rows(rows.ISSUED_TO, (station_id, MAX_ISSUED))
        return [rows.issued_of_row(row) for row in found]

    async def issued(self, fingerprint: str) -> IssuedCertificate | None:
        """A certificate that we signed, by the SHA-256 of its DER form."""
        found = await self._queries.rows(rows.ISSUED_BY_FINGERPRINT, (fingerprint,))
        return rows.issued_of_row(found[0]) if found else None

    async def held_by(
        self, station_id: StationId, kinds: Sequence[CertificateKind] = ()
    ) -> list[HeldCertificate]:
        """What a station last said it holds."""
        found = await self._queries.rows(rows.LISTED, (station_id,))
        held = []
        for row in found:
            entry, told_at = rows.listed_of_row(row)
            if not kinds or entry.kind in kinds:
                known = await self.known(entry.hash)
                held.append(HeldCertificate(entry=entry, told_at=told_at, known=known))
        return held

    async def known(self, hashed: CertificateHash) -> x509.Certificate | None:
        """The certificate that hash data name, if we have seen it."""
        if hashed.algorithm not in ALGORITHMS:
            return None
        for (pem,) in await self._queries.rows(rows.KNOWN_BY_SERIAL, (hashed.key[3],)):
            try:
                certificate = parse_chain(pem)[0]
            except CertificateError:  # kept before it was refused
                continue
            if name_hash(certificate.issuer, hashed.algorithm) == hashed.key[1]:
                return certificate
        return None

    async def _chain_answered(
        self, station_id: StationId, fact: ChainAnswered, at: datetime
    ) -> None:
        try:
            chain = parse_chain(fact.chain)
        except CertificateError:  # an operator may send anything, to see what happens
            return
        leaf = chain[0]
        status = "installed" if fact.is_accepted else "rejected"
        row = IssuedCertificate(
            fingerprint=fingerprint_of(leaf),
            station_id=station_id,
            use=fact.use,
            serial=serial_of(leaf),
            subject=subject_of(leaf),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            chain=fact.chain,
            status=status,
            issued_at=at,
            changed_at=at,
        )

        def job(conn: sqlite3.Connection) -> None:
            rows.put_issued(conn, row)
            rows.set_status(conn, row.fingerprint, status, at)
            for one in chain:
                rows.put_known(conn, _known(one), at)

        await self._writer.run(job)
        self.changed.set()
        if not fact.is_accepted:
            _log.warning(
                "certificate.rejected", station_id=station_id, serial=row.serial
            )

    async def _installed(
        self, station_id: StationId, fact: InstallAnswered, at: datetime
    ) -> None:
        if not fact.is_accepted:
            return
        try:
            chain = parse_chain(fact.certificate)
        except CertificateError:  # the station took what we cannot read
            return
        root = chain[0]
        listed = None
        if is_self_signed(root):
            listed = ListedCertificate(kind=fact.kind, hash=hash_of(root, root))

        def job(conn: sqlite3.Connection) -> None:
            for one in chain:
                rows.put_known(conn, _known(one), at)
            if listed is not None:
                rows.add_listed(conn, station_id, listed, at)

        await self._writer.run(job)


class ExpiryWatch:
    """Which installed certificates end soon; warns of each once a day."""

    def __init__(self, *, queries: Queries, clock: Clock, warning_days: int) -> None:
        self._queries = queries
        self._clock = clock
        self._warning = timedelta(days=warning_days)
        self._warned: dict[str, datetime] = {}
        self._gauges: dict[str, tuple[str, float]] = {}

    def is_expiring(self, not_after: datetime) -> bool:
        """Whether an end is near, or past."""
        return not_after - self._clock.now() <= self._warning

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """For ``/metrics``: text and value by name."""
        return self._gauges

    async def look(self) -> int:
        """Look at every certificate that is in use; how many end soon."""
        now = self._clock.now()
        found = await self._queries.rows(rows.INSTALLED)
        held = [rows.issued_of_row(row) for row in found]
        soon = [row for row in held if self.is_expiring(row.not_after)]
        for row in soon:
            last = self._warned.get(row.fingerprint)
            if last is None or now - last >= timedelta(days=1):
                self._warned[row.fingerprint] = now
                _log.warning(
                    "certificate.expiring",
                    station_id=row.station_id,
                    use=row.use.value,
                    serial=row.serial,
                    not_after=row.not_after.isoformat(),
                )
        self._warned = {row.fingerprint: self._warned[row.fingerprint] for row in soon}
        ends = [(row.not_after - now).total_seconds() for row in held]
        values: dict[str, float] = {
            "certificates_installed": len(held),
            "certificates_expiring": len(soon),
        }
        if ends:
            values["certificate_first_end_seconds"] = min(ends)
        self._gauges = {name: (GAUGES[name], value) for name, value in values.items()}
        return len(soon)


def _known(certificate: x509.Certificate) -> KnownCertificate:
    return KnownCertificate(
        fingerprint=fingerprint_of(certificate),
        serial=serial_of(certificate),
        subject=subject_of(certificate),
        not_after=certificate.not_valid_after_utc,
        pem=to_pem([certificate]),
    )
