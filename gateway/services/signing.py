"""SignCertificate: checked and answered, signed, sent, and remembered.

The answer goes out as soon as the request has passed our checks; the authority may
take its time (2.0.1, A02 and A03; 1.6 whitepaper, A02 and A03). A few requests are
worked on at a time, one per station: a newer request of a station replaces the one
that waits.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final, TypeAlias

import structlog
from cryptography import x509

from gateway.bus import Bus, Lagged, LinkChanged
from gateway.clock import Clock
from gateway.domain.certificates import CertificateUse
from gateway.domain.ids import StationId
from gateway.errors import CallFailed, WattproofError
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.inquiries import SigningAnswered, SigningAsked
from gateway.services.authority import Authority
from gateway.services.csr import Expected, read_request
from gateway.services.inquiries import Found
from gateway.services.stations import StationDirectory
from gateway.services.x509 import (
    CertificateError,
    fingerprint_of,
    serial_of,
    subject_of,
    to_pem,
)
from gateway.store import certificates as rows
from gateway.store.certificates import IssuedCertificate
from gateway.store.queries import Queries
from gateway.store.writer import Writer

WORKERS: Final = 32
MAX_PER_HOUR: Final = 30
"""Requests of one station that are signed; a station in a loop must not fill a CA."""
RETRY_AFTER_S: Final = (0.0, 5.0, 30.0)
"""Real seconds before each attempt to deliver a certificate; after the last one it
waits for the station's next connection."""
DELIVERABLE: Final = timedelta(days=1)
"""A certificate older than this is not sent at a reconnect: ask for a new one."""

_log = structlog.get_logger()

Send: TypeAlias = Callable[[StationId, Command, float], Awaitable[Mapping[str, object]]]
AdapterOf: TypeAlias = Callable[[StationId], Adapter | None]


class Signing:
    """Answers SignCertificate and delivers what was signed. Loop thread only.

    Args:
        authority: ``None``: every request is rejected.
        send: Sends a CALL and has its answer observed.
        adapter_of: The dialect of a connected station.
        site_clock: Of records.
    """

    def __init__(
        self,
        *,
        authority: Authority | None,
        organization: str | None,
        directory: StationDirectory,
        queries: Queries,
        writer: Writer,
        bus: Bus,
        send: Send,
        adapter_of: AdapterOf,
        site_clock: Clock,
        call_timeout_s: float,
        retry_after_s: tuple[float, ...] = RETRY_AFTER_S,
    ) -> None:
        self._authority = authority
        self._organization = organization
        self._directory = directory
        self._queries = queries
        self._writer = writer
        self._bus = bus
        self._send = send
        self._adapter_of = adapter_of
        self._clock = site_clock
        self._call_timeout_s = call_timeout_s
        self._retry_after_s = retry_after_s
        self._waiting: dict[
            tuple[StationId, CertificateUse], x509.CertificateSigningRequest | str
        ] = {}
        self._wake = asyncio.Event()
        self._busy: set[tuple[StationId, CertificateUse]] = set()
        self._back: set[StationId] = set()
        """Stations that came back while a delivery to their old link was under way."""
        self._asked: dict[StationId, deque[float]] = {}

    @property
    def has_authority(self) -> bool:
        """Whether anything can be signed."""
        return self._authority is not None

    async def answer(self, station_id: StationId, asked: SigningAsked) -> Found | None:
        """Check a request; a good one is accepted and signed right after the answer."""
        if self._authority is None:
            _log.warning("certificate.refused", station_id=station_id, why="no [ca]")
            return Found(finding=SigningAnswered(is_accepted=False))
        use = CertificateUse(asked.use)
        try:
            self._count(station_id)
            expected = await self._expected(station_id, use)
            request = read_request(asked.csr, expected)
        except CertificateError as error:
            _log.warning(
                "certificate.refused",
                station_id=station_id,
                use=use.value,
                why=str(error),
            )
            return Found(finding=SigningAnswered(is_accepted=False))

        async def follow() -> None:
            self._waiting[(station_id, use)] = request
            self._wake.set()

        return Found(finding=SigningAnswered(is_accepted=True), then=follow)

    async def run(self) -> None:
        """Sign and deliver, for ever."""
        places = asyncio.Semaphore(WORKERS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._redeliver(), name="signing.redeliver")
            while True:
                await self._wake.wait()
                self._wake.clear()
                for key in [key for key in self._waiting if key not in self._busy]:
                    await places.acquire()
                    if key not in self._waiting or key in self._busy:
                        places.release()
                        continue
                    self._busy.add(key)
                    work = self._waiting.pop(key)
                    task = tasks.create_task(
                        self._serve(key, work), name=f"signing.{key[0]}"
                    )
                    task.add_done_callback(lambda _task: places.release())

    async def _serve(
        self,
        key: tuple[StationId, CertificateUse],
        work: x509.CertificateSigningRequest | str,
    ) -> None:
        station_id, use = key
        try:
            chain = (
                work
                if isinstance(work, str)
                else await self._sign(station_id, use, work)
            )
            await self._deliver(station_id, use, chain)
        except WattproofError as error:
            _log.error(
                "certificate.failed",
                station_id=station_id,
                use=use.value,
                why=str(error),
            )
        except Exception:  # noqa: BLE001 - the outer edge of one request: told
            _log.exception("certificate.failed", station_id=station_id)
        finally:
            self._busy.discard(key)
            if self._waiting:
                self._wake.set()
        if station_id in self._back:
            self._back.discard(station_id)
            await self._take_up(station_id)

    async def _sign(
        self,
        station_id: StationId,
        use: CertificateUse,
        request: x509.CertificateSigningRequest,
    ) -> str:
        assert self._authority is not None, "requests are accepted only with one"
        chain = await self._authority.sign(request, station_id=station_id, use=use)
        leaf, now = chain[0], self._clock.now()
        row = IssuedCertificate(
            fingerprint=fingerprint_of(leaf),
            station_id=station_id,
            use=use,
            serial=serial_of(leaf),
            subject=subject_of(leaf),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            chain=to_pem(chain),
            status="issued",
            issued_at=now,
            changed_at=now,
        )
        await self._writer.run(lambda conn: rows.put_issued(conn, row))
        _log.info(
            "certificate.issued",
            station_id=station_id,
            use=use.value,
            serial=row.serial,
            not_after=row.not_after.isoformat(),
        )
        return row.chain

    async def _deliver(
        self, station_id: StationId, use: CertificateUse, chain: str
    ) -> None:
        """Send CertificateSigned until it is answered; a refusal is an answer.

        The station has judged a certificate that it rejects: sending it again would
        change nothing (1.6 whitepaper, A02, error handling).
        """
        why = "not connected"
        for pause_s in self._retry_after_s:
            await asyncio.sleep(pause_s)
            if (station_id, use) in self._waiting:
                return  # a newer request: its certificate will go out instead
            adapter = self._adapter_of(station_id)
            if adapter is None:
                break  # it gets it when it is back
            command = adapter.encode_signed(chain, use)
            try:
                answer = await self._send(station_id, command, self._call_timeout_s)
            except CallFailed as error:
                why = str(error) or type(error).__name__
                continue
            _log.info(
                "certificate.answered",
                station_id=station_id,
                use=use.value,
                status=str(answer.get("status")),
            )
            return
        _log.warning(
            "certificate.undelivered", station_id=station_id, use=use.value, why=why
        )

    async def _redeliver(self) -> None:
        """Send what a station was not there to take, once it is back."""
        with self._bus.subscribe("signing", of=(LinkChanged,)) as subscription:
            async for notice in subscription:
                match notice:
                    case LinkChanged(station_id=station_id, is_online=True):
                        if any(key[0] == station_id for key in self._busy):
                            self._back.add(station_id)
                        else:
                            await self._take_up(station_id)
                    case Lagged():
                        _log.warning("signing.lagged", dropped=notice.dropped)
                    case _:
                        pass

    async def _take_up(self, station_id: StationId) -> None:
        try:
            found = await self._queries.rows(rows.ISSUED_TO, (station_id, 10))
        except WattproofError as error:
            _log.warning("certificate.unread", station_id=station_id, why=str(error))
            return
        now, newest = self._clock.now(), set()
        for row in map(rows.issued_of_row, found):  # newest first
            key = (station_id, row.use)
            if row.use in newest:
                continue
            newest.add(row.use)
            is_due = row.status == "issued" and now - row.issued_at <= DELIVERABLE
            if is_due and key not in self._busy and key not in self._waiting:
                self._waiting[key] = row.chain
                self._wake.set()

    async def _expected(self, station_id: StationId, use: CertificateUse) -> Expected:
        own, foreign = {str(station_id)}, set()
        for entry in self._directory.all():
            names = {str(entry.station_id), entry.serial or ""} - {""}
            if entry.station_id == station_id:
                own |= names
            else:
                foreign |= {name.casefold() for name in names}
        # Another station's name is not ours to certify, whatever a boot says; nor does
        # a boot of another take a station's own id away.
        foreign.discard(station_id.casefold())
        if use is CertificateUse.STATION:
            return Expected(
                names=frozenset(own), foreign=foreign, organization=self._organization
            )
        variables = await self._queries.device_variables(station_id)
        secc = {v.value for v in variables if v.variable.casefold() == "seccid"}
        known = frozenset(name for name in secc if name)
        return Expected(
            names=frozenset(own) | known if known else None,
            foreign=foreign,
            organization=self._organization,
        )

    def _count(self, station_id: StationId) -> None:
        """Let a station ask only so often.

        Raises:
            CertificateError: It asked too often within the hour.
        """
        now_s = asyncio.get_running_loop().time()
        asked = self._asked.setdefault(station_id, deque())
        while asked and now_s - asked[0] > 3_600:  # noqa: PLR2004 - one hour
            asked.popleft()
        if len(asked) >= MAX_PER_HOUR:
            raise CertificateError(f"more than {MAX_PER_HOUR} requests in an hour")
        asked.append(now_s)
