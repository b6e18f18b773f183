"""What the pages show, kept warm: one refresh a second serves every viewer."""

import asyncio
import math
import sqlite3
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from gateway.clock import Clock
from gateway.domain.ids import IdToken, SessionId, StationId
from gateway.domain.session import Session, SessionPhase
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_text import energy_text
from gateway.errors import RequestError, StoreError
from gateway.services import feasibility
from gateway.services.driver_price import driver_doubt, driver_meter, driver_price
from gateway.services.needs import Needs
from gateway.services.overview import Overview
from gateway.services.receipts import Receipts
from gateway.services.signed_download import told_to_driver
from gateway.services.station_facts import StationFacts
from gateway.store import corrections, money, need_defaults, plans, requests, sessions
from gateway.store.queries import Queries
from gateway.store.times import optional_text

REFRESH_S: Final = 0.5
"""Real seconds between two refreshes while somebody looks."""
IDLE_S: Final = 30.0
"""Real seconds after the last look at which refreshing stops."""
HISTORY: Final = timedelta(hours=4)
HISTORY_STEP: Final = timedelta(minutes=1)
LINK_TTL: Final = timedelta(days=30)
MILLIWH_PER_WH: Final = 1000
MAX_KNOCKING: Final = 20
"""Strangers shown; the API has all of them."""

_log = structlog.get_logger()

View = dict[str, Any]


class Live:
    """Snapshots for the pages; run it as a task. Loop thread only.

    Args:
        overview: Builds the views.
        queries: For what drivers see.
        needs: Takes drivers' needs and knows their links.
        receipts: Builds what a driver may keep.
        clock: Site clock.
        tariff_ids: The tariffs that stations charge by.
        backend: Where heads are anchored, in a word.
        plan_price_unit: Of the prices that plans reckon with, such as ``EUR/kWh``.
        facts: All about one station, for its page.
        alarms: Critical security events worth a person's look.
    """

    def __init__(
        self,
        *,
        overview: Overview,
        queries: Queries,
        needs: Needs,
        receipts: Receipts,
        clock: Clock,
        tariff_ids: Callable[[], Collection[str]],
        backend: str,
        alarms: Callable[[], Sequence[View]] = tuple,
        commands: Callable[[], Sequence[View]] = tuple,
        plan_price_unit: str | None = None,
        facts: StationFacts,
    ) -> None:
        self._overview = overview
        self._queries = queries
        self._needs = needs
        self._receipts = receipts
        self._clock = clock
        self._tariff_ids = tariff_ids
        self._tariffs: list[Tariff] = []
        self._backend = backend
        self._alarms = alarms
        self._commands = commands
        self._plan_price_unit = plan_price_unit
        self._facts = facts
        self._site: View = {}
        self._knocking: list[View] = []
        self._undecided: View = {}
        self._plans: dict[str, View] = {}
        self._drivers: dict[SessionId, View | None] = {}
        self._asked_at_s: dict[SessionId, float] = {}
        self._history: dict[str, deque[tuple[datetime, float, float]]] = defaultdict(
            deque
        )
        self._looked_at_s = -math.inf
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Refresh for ever: history always, everything else while somebody looks."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._refresh(is_watched=loop.time() - self._looked_at_s < IDLE_S)
            except StoreError as error:
                _log.warning("live.stale", why=str(error))
            self._wake.clear()
            is_watched = loop.time() - self._looked_at_s < IDLE_S
            pause_s = REFRESH_S
            if not is_watched:
                step_s = self._clock.real_s(HISTORY_STEP.total_seconds())
                pause_s = max(REFRESH_S, step_s)
            try:
                async with asyncio.timeout(pause_s):
                    if is_watched:
                        await asyncio.sleep(pause_s)
                    else:
                        await self._wake.wait()
            except TimeoutError:
                continue

    def stations(self) -> Sequence[View]:
        """All stations, as of the last refresh."""
        self._look()
        return list(self._site.get("stations", []))

    async def station(self, station_id: str) -> View | None:
        """One station with all that is known of it; ``None``: not registered.

        Raises:
            StoreError: The store cannot be read now.
        """
        self._look()
        return await self._facts.view(station_id)

    def cabinets(self) -> Sequence[View]:
        """All cabinets, as of the last refresh."""
        self._look()
        return list(self._site.get("cabinets", []))

    def plan(self, cabinet_id: str) -> View | None:
        """The present plan of a cabinet's group, drawn for this cabinet."""
        self._look()
        return self._plans.get(cabinet_id)

    def history(self, cabinet_id: str) -> Sequence[tuple[str, float, float]]:
        """The last hours: time, load on the fullest phase in A, limit in A."""
        rows = self._history.get(cabinet_id, ())
        return [(at.isoformat(), load_a, limit_a) for at, load_a, limit_a in rows]

    def site(self) -> View:
        """The whole site."""
        self._look()
        if not self._site:
            return _empty_site() | {
                "name": self._overview.name,
                "timezone": self._overview.timezone,
                "price": self._price(),
            }
        ledger = self._site["ledger"]
        return self._site | {
            "knocking": self._knocking,
            "undecided": self._undecided,
            "alarms": self._alarms(),
            "commands": self._commands(),
            "price": self._price(),
            "plan_price_unit": self._plan_price_unit,
            "ledger": {
                "leaves": ledger["leaf_count"],
                "anchored_size": ledger["anchored_size"],
                "last_anchor_at": ledger["anchored_at"],
                "backlog": ledger["backlog"],
                "backend": self._backend,
            },
        }

    def driver(self, token: str) -> View | None:
        """One session for its driver; ``None`` for an unknown or expired link."""
        self._look()
        session_id = self._needs.session_of_link(token)
        if session_id is None:
            return None
        self._asked_at_s[session_id] = self._looked_at_s
        if session_id not in self._drivers:
            self._drivers[session_id] = self._read_driver(session_id)
        return self._drivers[session_id]

    async def set_need(
        self,
        token: str,
        energy_wh: int | None,
        departure_at: datetime | None,
        *,
        may_pause: bool | None = None,
    ) -> str:
        """Change what the driver needs; returns the answer in words.

        Raises:
            RequestError: It cannot be done; the message is for the driver.
        """
        session = await self._running(token)
        await self._needs.set_need(
            session,
            energy_wh=energy_wh,
            target_soc_percent=None,
            departure_at=departure_at,
            source="driver",
            may_pause=may_pause,
        )
        return f"Noted. {self._feasible(session, energy_wh, departure_at)}"

    async def check_need(
        self, token: str, energy_wh: int | None, departure_at: datetime | None
    ) -> str:
        """Whether a need could be met, in words; nothing is changed.

        Raises:
            RequestError: There is no such session; the message is for the driver.
        """
        session = await self._running(token)
        return self._feasible(session, energy_wh, departure_at)

    async def receipt(self, token: str) -> Mapping[str, object]:
        """The receipt of a settled session, ready for JSON; it verifies offline.

        Raises:
            RequestError: 404 an unknown link; 409 it is not settled yet, or held.
        """
        session_id = self._needs.session_of_link(token)
        if session_id is None:
            raise RequestError(404, "expired_link", "This page has expired.")
        return await self._receipts.receipt(session_id)

    async def plan_row(self, token: str) -> Mapping[str, object]:
        """The session's row of the newest plan, ready for JSON; it verifies offline.

        Raises:
            RequestError: 404 an unknown link, or no plan yet.
        """
        session_id = self._needs.session_of_link(token)
        if session_id is None:
            raise RequestError(404, "expired_link", "This page has expired.")
        return await self._receipts.newest_plan_row(session_id)

    async def signed_xml(self, token: str) -> str:
        """What the meter of a session signed, for the transparency software.

        Raises:
            RequestError: 404 an unknown link, or it signed nothing.
        """
        session_id = self._needs.session_of_link(token)
        if session_id is None:
            raise RequestError(404, "expired_link", "This page has expired.")
        return await self._receipts.signed_xml(session_id)

    async def _running(self, token: str) -> Session:
        session_id = self._needs.session_of_link(token)
        session = (
            None if session_id is None else await self._queries.session(session_id)
        )
        if session is None:
            raise RequestError(404, "expired_link", "This page has expired.")
        if session.phase is not SessionPhase.RUNNING:
            raise RequestError(409, "session_over", "Charging has ended already.")
        return session

    def _feasible(
        self, session: Session, energy_wh: int | None, departure_at: datetime | None
    ) -> str:
        now = self._clock.now()
        found = self._overview.feasibility(
            session, energy_wh=energy_wh, departure_at=departure_at
        )
        return feasibility.in_words(found, now, ZoneInfo(self._overview.timezone))

    def _look(self) -> None:
        self._looked_at_s = asyncio.get_running_loop().time()
        self._wake.set()

    async def _refresh(self, *, is_watched: bool) -> None:
        now = self._clock.now()
        if is_watched or not self._tariffs:
            self._tariffs = await asyncio.to_thread(
                self._queries.read_now,
                partial(money.tariffs_named, ids=sorted(self._tariff_ids())),
            )
        if is_watched:
            self._site = await self._overview.site()
            self._knocking = [
                {
                    "station_id": knock.station_id,
                    "reason": knock.reason,
                    "attempts": knock.attempts,
                    "last_seen_at": optional_text(knock.last_seen_at),
                }
                for knock in (await self._queries.knocking())[:MAX_KNOCKING]
            ]
            ((held, proposed),) = await self._queries.rows(
                corrections.WAITING, (corrections.MOST_COUNTED,)
            )
            self._undecided = {"bills": held, "proposals": proposed}
            cabinets = self._site["cabinets"]
            self._plans = {}
            for cabinet in cabinets:
                try:
                    plan = await self._overview.plan(cabinet["cabinet_id"])
                except RequestError:
                    continue
                self._plans[cabinet["cabinet_id"]] = _drawn(
                    plan, cabinet, self._site["stations"]
                )
            self._forget_drivers(asyncio.get_running_loop().time() - IDLE_S)
            for session_id in list(self._drivers):
                self._drivers[session_id] = await asyncio.to_thread(
                    self._read_driver, session_id
                )
        else:
            cabinets = await self._overview.cabinets()
            self._site = {}  # nobody shall see an old picture first
            self._plans = {}
            self._forget_drivers(math.inf)
        for cabinet in cabinets:
            self._remember(cabinet, now)

    def _forget_drivers(self, before_s: float) -> None:
        """Forget sessions whose page nobody looked at since a time of the loop."""
        for session_id, asked_at_s in list(self._asked_at_s.items()):
            if asked_at_s < before_s:
                del self._asked_at_s[session_id]
                self._drivers.pop(session_id, None)

    def _remember(self, cabinet: Mapping[str, Any], now: datetime) -> None:
        rows = self._history[cabinet["cabinet_id"]]
        if rows and now - rows[-1][0] < HISTORY_STEP:
            return
        limit_a = min(cabinet["limit_a"]) if cabinet["limit_a"] else 0.0
        rows.append((now, max(cabinet["load_a"]), limit_a))
        while rows and now - rows[0][0] > HISTORY:
            rows.popleft()

    def _price(self) -> str | None:
        return energy_text(self._tariffs, self._clock.now())

    def _read_driver(self, session_id: SessionId) -> View | None:
        return self._queries.read_now(lambda conn: self._driver_of(conn, session_id))

    def _driver_of(
        self, conn: sqlite3.Connection, session_id: SessionId
    ) -> View | None:
        session = sessions.by_id(conn, session_id)
        now = self._clock.now()
        if session is None or (
            session.ended_at is not None and now - session.ended_at > LINK_TTL
        ):
            return None
        bill = money.find_bill(conn, session_id)
        money_told = driver_price(conn, session, bill, now)
        promise = plans.promise(conn, session_id)
        needed_wh, departure_at = _need_of(conn, session, promise)
        return {
            "station_id": session.station_id,
            "evse_id": session.evse_id,
            **driver_meter(session, bill),
            "needed_milliwh": None if needed_wh is None else needed_wh * MILLIWH_PER_WH,
            "departure_at": departure_at,
            "may_pause": _may_pause(conn, session),
            **_promised(session, promise),
            "power_w": session.power_w,
            "interrupted_at": session.interrupted_at,
            "charging_state": session.charging_state,
            "sampled_at": session.sampled_at,
            "online": self._is_online(session.station_id),
            "ended": session.phase is SessionPhase.ENDED,
            "ended_at": session.ended_at,
            "doubt": driver_doubt(bill),
            "bill_state": "pending" if bill is None else bill.status,
            **told_to_driver(
                conn, session_id, bill, f"/d/{self._needs.driver_token(session_id)}"
            ),
            "cost": money_told.cost,
            "credited": money_told.credited,
            "price": money_told.price,
            "plan_url": (
                f"/d/{self._needs.driver_token(session_id)}/plan"
                if promise is not None and session.phase is not SessionPhase.ENDED
                else None
            ),
            "receipt_url": (
                f"/d/{self._needs.driver_token(session_id)}/receipt"
                if bill is not None and bill.status == "settled"
                else None
            ),
        }

    def _is_online(self, station_id: StationId) -> bool:
        return self._overview.is_online(station_id)


def _need_of(
    conn: sqlite3.Connection, session: Session, promise: plans.PromiseRow | None
) -> tuple[int | None, datetime | None]:
    """Energy from the start on and departure: as asked for, else as assumed."""
    asked = requests.find(conn, session.session_id)
    needed_wh: int | None = None
    departure_at: datetime | None = None
    if promise is not None:
        needed_wh = promise.delivered_wh + promise.energy_wh + promise.shortfall_wh
        departure_at = promise.departure_at
    if asked is not None:
        if asked.energy_wh is not None:
            needed_wh = round(asked.energy_wh)
        departure_at = asked.departure_at or departure_at
    return needed_wh, departure_at


def _may_pause(conn: sqlite3.Connection, session: Session) -> bool:
    """Whether plans may pause it: as said for it, else for its token or its group."""
    asked = requests.find(conn, session.session_id)
    if asked is not None and asked.may_pause is not None:
        return asked.may_pause
    if session.id_token is None:
        return True
    token = IdToken(value=session.id_token, kind=session.token_kind)
    return need_defaults.of_token(conn, token).may_pause


def _promised(session: Session, promise: plans.PromiseRow | None) -> View:
    """What the newest plan promises a driver; nothing less than is delivered."""
    if promise is None:
        return {
            "is_default_need": True,
            "guaranteed_milliwh": None,
            "likely_milliwh": None,
            "at_risk": False,
            "energy_from": None,
            "why": None,
        }
    got = session.energy_milliwh
    likely = (promise.delivered_wh + promise.energy_wh) * MILLIWH_PER_WH
    surely = promise.guaranteed_wh
    return {
        "is_default_need": promise.is_default,
        "guaranteed_milliwh": (
            None if surely is None else max(got, surely * MILLIWH_PER_WH)
        ),
        "likely_milliwh": max(got, likely),
        "at_risk": promise.is_at_risk,
        "energy_from": promise.energy_from,
        "why": promise.reason,
    }


def _drawn(
    plan: Mapping[str, Any], cabinet: Mapping[str, Any], stations: Sequence[View]
) -> View:
    """A group's plan as one cabinet sees it: its cars, its limit, its other loads.

    Other loads are taken as they are now; the fullest phase is drawn.
    """
    wired = {
        (station["station_id"], evse["evse_id"]): evse
        for station in stations
        for evse in station["evses"]
        if cabinet["cabinet_id"] in station["path"]
    }
    rows = [r for r in plan["rows"] if (r["station_id"], r["evse_id"]) in wired]
    n_step = max((len(row["limits_a"]) for row in plan["rows"]), default=0)
    expected = []
    for step in range(n_step):
        total = list(cabinet["other_a"])
        for row in rows:
            for phase in _phases(wired[row["station_id"], row["evse_id"]]):
                total[phase] += row["limits_a"][step]
        expected.append(round(max(total), 1))
    limit_a = min(cabinet["limit_a"]) if cabinet["limit_a"] else 0.0
    own = {
        s["station_id"] for s in stations if s["cabinet_id"] == cabinet["cabinet_id"]
    }
    return {
        **plan,
        "rows": [row for row in rows if row["station_id"] in own],
        "limit_a": [limit_a] * n_step,
        "expected_a": expected,
    }


def _phases(evse: Mapping[str, Any]) -> list[int]:
    text = evse["phases"]
    return [int(text[at + 1]) - 1 for at in range(0, len(text), 2)]


def _empty_site() -> View:
    """The site before anybody has looked: no figure, but see `Live.site`."""
    return {
        "name": "",
        "timezone": "UTC",
        "now": None,
        "speed": 1.0,
        "n_station": 0,
        "n_online": 0,
        "n_session": 0,
        "n_left_out": 0,
        "power_w": 0.0,
        "allowed_w": None,
        "supply_w": None,
        "limit_w": None,
        "pv_w": None,
        "price": None,
        "knocking": [],
        "undecided": {},
        "alarms": [],
        "commands": [],
        "ledger": {
            "leaves": 0,
            "anchored_size": 0,
            "last_anchor_at": None,
            "backlog": 0,
            "backend": "",
        },
    }
