"""Charge detail records of settled sessions: one, or all of a window to export."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.config import CpoConfig
from gateway.domain.cdr import CdrFacts
from gateway.domain.cdr_credit import CdrCredit
from gateway.domain.cdr_credit import cdrs as all_cdrs
from gateway.domain.cdr_place import (
    Address,
    Party,
    Plug,
    location,
    plug_of,
    token,
)
from gateway.domain.cdr_signed import signed_data
from gateway.domain.connectors import PowerType, reported
from gateway.domain.ids import EvseRef, IdToken, SessionId
from gateway.domain.ocmf import Curve
from gateway.domain.topology import CurrentType, Position, Site
from gateway.errors import RequestError
from gateway.services.meter_keys import MeterKey, key_info
from gateway.store import cdrs, corrections
from gateway.store.cdrs import Settled
from gateway.store.queries import Queries


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrPage:
    """Some of the records of a window.

    Attributes:
        total: How many the window has.
    """

    records: tuple[dict[str, object], ...]
    total: int


class Cdrs:
    """Makes records; it keeps none.

    Args:
        queries: Reads the store.
        cpo: Who operates the site.
        site: As it is wired now.
    """

    def __init__(
        self, *, queries: Queries, cpo: CpoConfig, site: Callable[[], Site]
    ) -> None:
        self._queries = queries
        self._cpo = cpo
        self._site = site

    async def record(self, session_id: SessionId) -> dict[str, object]:
        """The record of a session.

        Raises:
            RequestError: 404 no such session; 409 it is not settled, or a setting is
                missing that a record needs.
        """
        records = await self.records(session_id)
        return records[0]

    async def records(self, session_id: SessionId) -> list[dict[str, object]]:
        """The record of a session, and those of its credits, in their order.

        Raises:
            RequestError: As `record`.
        """
        return await asyncio.to_thread(
            self._queries.read_now, lambda conn: self._all(conn, session_id)
        )

    async def page(
        self,
        since: datetime | None,
        before: datetime | None,
        *,
        offset: int,
        limit: int,
    ) -> CdrPage:
        """Records that became final in a window, those of credits too, oldest first.

        Args:
            since: First instant of the window; ``None``: of all time.
            before: First instant after it; ``None``: it has no end.
            offset: How many to leave out at the beginning.
            limit: At most so many.

        Raises:
            RequestError: 409 a setting is missing that records need.
        """

        def work(conn: sqlite3.Connection) -> CdrPage:
            places = cdrs.page(conn, since, before, offset=offset, limit=limit)
            return CdrPage(
                records=tuple(self._all(conn, one)[place] for one, place in places),
                total=cdrs.count(conn, since, before),
            )

        self._operator()
        return await asyncio.to_thread(self._queries.read_now, work)

    def _all(
        self, conn: sqlite3.Connection, session_id: SessionId
    ) -> list[dict[str, object]]:
        session = cdrs.session_of(conn, session_id)
        if session is None:
            raise RequestError(404, "unknown_session", "no such session")
        settled = cdrs.find(conn, session)
        if settled is None:
            raise RequestError(409, "not_settled", "the session has no settled bill")
        credits_ = [
            CdrCredit(
                amount_minor=one.amount_minor,
                reason=one.reason,
                document=one.document,
                at=one.decided_at,
            )
            for one in corrections.credits_of(conn, session_id)
        ]
        return all_cdrs(self._facts(settled), credits_)

    def _facts(self, settled: Settled) -> CdrFacts:
        operator, address = self._operator()
        session = settled.session
        presented = None
        if session.id_token is not None:
            presented = IdToken(value=session.id_token, kind=session.token_kind)
        ref = EvseRef(
            station_id=session.station_id,
            evse_id=session.evse_id,
            connector_id=session.connector_id,
        )
        key = None
        if settled.key is not None:
            curve, point = settled.key
            key = key_info(MeterKey(curve=Curve(curve), point=point))
        remarks = []
        if session.stop_reason:
            remarks.append(f"Stopped: {session.stop_reason}.")
        return CdrFacts(
            operator=operator,
            session_id=session.session_id,
            started_at=settled.started_at,
            ended_at=settled.ended_at,
            token=token(
                presented,
                session_id=session.session_id,
                contract_id=settled.contract_id,
                operator=operator,
            ),
            is_commanded=settled.is_commanded,
            location=location(
                address,
                self._position(ref),
                operator=operator,
                ref=ref,
                plug=self._plug(ref, settled.connector_type),
            ),
            meter_id=settled.meter_serial,
            signed_data=signed_data(settled.signed_texts, key),
            tariff=settled.tariff,
            tariff_fixed_at=settled.tariff_fixed_at,
            bill=settled.document,
            settled_at=settled.settled_at,
            remarks=remarks,
        )

    def _operator(self) -> tuple[Party, Address]:
        """Who and where we are.

        Raises:
            RequestError: 409 settings are missing; all of them are named.
        """
        cpo, site = self._cpo, self._site()
        missing = list(cpo.missing())
        if site.position is None:
            missing += ["site.latitude_deg", "site.longitude_deg"]
        if missing:
            raise RequestError(
                409,
                "no_cdr_settings",
                f"a charge detail record needs these settings: {', '.join(missing)}",
            )
        party = Party(country_code=cpo.country_code or "", party_id=cpo.party_id or "")
        return party, Address(
            id=cpo.location_id,
            name=site.name,
            address=cpo.address or "",
            city=cpo.city or "",
            postal_code=cpo.postal_code,
            state=cpo.state,
            country=cpo.country or "",
        )

    def _position(self, ref: EvseRef) -> Position:
        """Of the station, or else of the site."""
        site = self._site()
        station = site.station(ref.station_id)
        own = None if station is None else station.position
        found = own or site.position
        assert found is not None, "the settings were looked at"
        return found

    def _plug(self, ref: EvseRef, connector_type: str | None) -> Plug:
        """The connector; of an EVSE that is wired no more: of three-phase AC."""
        cpo = self._cpo
        said = None if connector_type is None else reported(connector_type)
        evse = self._site().evse(ref.station_id, ref.evse_id)
        if evse is None:
            standard, form = said or (cpo.ac_connector, cpo.ac_format)
            return Plug(standard=standard, format=form, power_type=PowerType.AC_3_PHASE)
        if evse.current_type is CurrentType.DC:
            return plug_of(evse, said, (cpo.dc_connector, cpo.dc_format))
        return plug_of(evse, said, (cpo.ac_connector, cpo.ac_format))
