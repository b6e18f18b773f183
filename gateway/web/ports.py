"""What the pages need from the rest of the system.

Views are mappings ready to show; the members are listed with each method. Times are
ISO texts with an offset unless a datetime is said; ``None`` means unknown.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from gateway.domain.bill_paper import Paper
from gateway.domain.ids import SessionId
from gateway.domain.months import Month
from gateway.services.bill_pdf import PaperSize
from gateway.services.bills import Ask
from gateway.store.bills import BillLine

View: TypeAlias = Mapping[str, Any]


class LiveView(Protocol):
    """The present, as the pages show it. Cheap enough to be asked once a second."""

    def stations(self) -> Sequence[View]:
        """All stations.

        Members: ``station_id``, ``online``, ``ocpp_version``, ``vendor``, ``model``,
        ``firmware``, ``last_seen_at``, ``cabinet_id`` and ``evses``, each with
        ``evse_id``, ``availability`` (available, occupied, reserved, unavailable,
        faulted), ``charging_state`` (idle, preparing, charging, suspended_ev,
        suspended_evse, finishing), ``power_w``, ``limit_w``, ``rated_w``,
        ``soc_percent``, ``session_id``, ``energy_milliwh``, ``measured_at``,
        ``interrupted_at`` (its station restarted, and is silent about the session
        since) and ``promise`` (a short text).
        """
        ...

    async def station(self, station_id: str) -> View | None:
        """One station with all that is known of it; ``None``: not registered.

        Members beyond those of `stations`: ``now``, ``serial``, ``registration``,
        ``security_profile`` (least), ``connection`` (``None`` while offline),
        ``managed``, ``path`` (cabinets, innermost first), ``definition``, ``alarms``,
        ``unbelieved_evses`` and ``clock_offset_s``; the newest ``deviations``,
        ``refused``, ``commands``, ``limits`` and ``reservations``; ``certificates``;
        ``meter_keys``; ``local_list`` or ``None``. See
        `gateway.services.station_facts`.

        Raises:
            StoreError: The store cannot be read now.
        """
        ...

    def cabinets(self) -> Sequence[View]:
        """All cabinets.

        Members: ``cabinet_id``, ``parent``, ``limit_a`` (shape (3,) or ``None``),
        ``limit_w``, ``load_a``, ``worst_case_a``, ``headroom_a`` (shape (3,), A per
        phase), ``state`` (control, advise, commissioning, over_limit,
        shedding, feeder_lost), ``mode``, ``note`` (words or nothing).
        """
        ...

    def plan(self, cabinet_id: str) -> View | None:
        """The present plan of a cabinet.

        Members: ``plan_id``, ``made_at``, ``outcome``, ``step_s``, ``start`` and, with
        one entry per step, ``limit_a``, ``expected_a`` (fullest phase, other loads
        included) and ``price_micro_per_kwh``; ``rows`` with ``session_id``,
        ``station_id``, ``evse_id``, ``need_wh``, ``delivered_wh``, ``expected_wh``,
        ``departure_at``, ``limit_a`` (now), ``at_risk`` and ``why``; ``expected_wh``
        is still to come until then, ``need_wh`` counts from the session's start.
        Optional: ``limits_a`` per step, ``guaranteed_wh``, ``is_default_need``,
        ``congestion`` (limits that bind, with ``cabinet_id``, ``phase``, ``begin`` and
        ``micro_per_kwh``) and ``why`` of the whole plan.
        """
        ...

    def history(self, cabinet_id: str) -> Sequence[tuple[str, float, float]]:
        """The last hours: time, load on the fullest phase and limit in A (0: none)."""
        ...

    def site(self) -> View:
        """The whole site.

        Members: ``name``, ``timezone`` (IANA), ``now`` (``None`` before the first
        look), ``speed``, ``n_station``, ``n_online``, ``n_session``; of the sessions
        with a live meter ``power_w`` and ``allowed_w``, of the others their number
        ``n_left_out``; of the root cabinets ``supply_w`` and ``limit_w``; ``pv_w``,
        ``price`` (a text such as ``0.24 EUR/kWh``), ``plan_price_unit`` and
        ``ledger`` with ``leaves``, ``anchored_size``, ``last_anchor_at``, ``backlog``
        and ``backend``.
        """
        ...

    def driver(self, token: str) -> View | None:
        """One session for its driver; ``None`` for an unknown or expired link.

        Members: those `gateway.web.driver_words.words` reads (times as datetimes);
        further ``may_pause`` and, if known, ``station_id``, ``evse_id``,
        ``receipt_url``, ``plan_url`` and of a settled bill ``meter_signature`` (``ok``,
        ``unsigned``, ``unverified`` or ``failed``) and ``signed_url``.
        """
        ...

    async def receipt(self, token: str) -> View:
        """The receipt of a settled session, ready for JSON; it verifies offline.

        Raises:
            RequestError: There is none yet, or the link is unknown.
        """
        ...

    async def plan_row(self, token: str) -> View:
        """The session's row of the newest plan, ready for JSON; it verifies offline.

        Raises:
            RequestError: There is none yet, or the link is unknown.
        """
        ...

    async def signed_xml(self, token: str) -> str:
        """What the meter of a session signed, for the transparency software.

        Raises:
            RequestError: It signed nothing, or the link is unknown.
        """
        ...

    async def check_need(
        self, token: str, energy_wh: int | None, departure_at: datetime | None
    ) -> str:
        """What a need would come to, in words; nothing is changed.

        Raises:
            RequestError: There is no such session; the message is for the driver.
        """
        ...

    async def set_need(
        self,
        token: str,
        energy_wh: int | None,
        departure_at: datetime | None,
        *,
        may_pause: bool | None = None,
    ) -> str:
        """Change what the driver needs; returns the answer in words.

        ``may_pause``: False: plans shall not pause the car; ``None``: as it was.

        Raises:
            RequestError: It cannot be done; the message is for the driver.
        """
        ...


class Access(Protocol):
    """Who may look."""

    async def redeem(self, secret: str) -> str | None:
        """Exchange a one-time link for a session token; ``None`` if used or expired."""
        ...

    async def role_of(self, secret: str) -> str | None:
        """The role of a valid token."""
        ...

    async def operator_of(self, secret: str) -> str | None:
        """The id of a valid token of an operator or admin; ``None`` for any other."""
        ...


class BillDesk(Protocol):
    """Bills as documents; see `gateway.services.bills.Bills`."""

    async def paper(self, session_id: SessionId, ask: Ask) -> Paper:
        """A bill to read.

        Raises:
            RequestError: 404 no bill yet.
            StoreError: It cannot be read now.
        """
        ...

    async def pdf(self, session_id: SessionId, ask: Ask, size: PaperSize) -> bytes:
        """A bill as PDF; raises as `paper`."""
        ...

    def of_link(self, token: str) -> SessionId | None:
        """The session of a driver's link; ``None``: it leads nowhere."""
        ...

    def this_month(self) -> Month:
        """The month that it is at the site."""
        ...

    async def lines(
        self, month: Month, after: tuple[datetime, str] | None, limit: int
    ) -> list[BillLine]:
        """Bills of a month in the order in which they were decided."""
        ...

    async def totals(self, month: Month) -> dict[str, Any]:
        """What the settled bills of a month come to."""
        ...


class CorrectionDesk(Protocol):
    """Corrections; see `gateway.services.correction_forms.CorrectionForms`."""

    async def bill(self, session_id: str) -> View:
        """A bill with its corrections.

        Raises:
            RequestError: 404 there is none.
            StoreError: It cannot be read now.
        """
        ...

    async def waiting(self) -> View:
        """``held`` bills and open ``proposals``; raises StoreError."""
        ...

    async def act(self, session_id: str, form: Mapping[str, str], actor: str) -> None:
        """Do what a form says.

        Raises:
            RequestError: It cannot be done; the message is for the operator.
            StoreError: It could not be stored.
        """
        ...


class MeterKeys(Protocol):
    """Which keys of meters are trusted."""

    async def pin(
        self,
        station_id: str,
        evse_id: int,
        *,
        public_key: str,
        meter_serial: str | None,
        actor: str,
    ) -> object:
        """Trust a key at an EVSE from now on.

        Raises:
            RequestError: It is none; the message says why.
            StoreError: It could not be stored.
        """
        ...
