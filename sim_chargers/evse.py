"""One EVSE as hardware: contactor, meter, pilot signal, and the car behind it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from sim_chargers.vehicle import MIN_CURRENT_A, NO_DRAW, Draw, Vehicle

MILLIWH_PER_WH: Final = 1000
SECONDS_PER_HOUR: Final = 3600.0
DC_EFFICIENCY: Final = 0.95
DC_AUXILIARY_W: Final = 150.0
PHASES: Final = ("L1", "L2", "L3")
PILOT_STEP_A: Final = 0.1
MIN_DC_OFFER_W: Final = 500.0


class Charging(Enum):
    """What happens between EVSE and car, in the words of OCPP 2.0.1."""

    IDLE = "Idle"
    CONNECTED = "EVConnected"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseSpec:
    """The rating plate.

    Attributes:
        phases: Site phases in the order of the terminals, such as ``L2L3L1`` or ``L1``.
        max_a: Per phase; for DC the AC input.
        max_w: DC output, or total AC power where it is lower than ``max_a`` gives.
    """

    evse_id: int
    is_dc: bool = False
    phases: tuple[int, ...] = (0, 1, 2)
    max_a: float = 32.0
    min_a: float = MIN_CURRENT_A
    max_w: float | None = None
    nominal_v: float = 230.0
    phase_text: str = "L1L2L3"

    @property
    def native_max(self) -> float:
        """Rating in amperes per phase (AC) or watts of DC output."""
        if self.is_dc:
            if self.max_w is not None:
                return self.max_w
            input_w = self.max_a * self.nominal_v * len(self.phases)
            return max(0.0, (input_w - DC_AUXILIARY_W) * DC_EFFICIENCY)
        by_power_a = (
            self.max_a
            if self.max_w is None
            else self.max_w / (self.nominal_v * len(self.phases))
        )
        return min(self.max_a, by_power_a)


@dataclass(slots=True, kw_only=True)
class Evse:
    """The state of one EVSE.

    Attributes:
        energised: A transaction is authorised, so the contactor may close.
        offered: The limit in force at the pilot, native units.
        register_milliwh: Lifetime import register; never decreases.
        site_a: Current on the site's phases L1, L2, L3 (gross, at the input).
        reaction_s: Time from a changed limit to a changed pilot.
    """

    spec: EvseSpec
    register_milliwh: int
    reaction_s: float = 2.0
    vehicle: Vehicle | None = None
    energised: bool = False
    offered: float = 0.0
    draw: Draw = NO_DRAW
    site_a: tuple[float, float, float] = (0.0, 0.0, 0.0)
    charging: Charging = Charging.IDLE
    _carry_milliwh: float = 0.0
    _is_live: bool = False
    _pending: tuple[float, datetime] | None = field(default=None)

    def step(self, limit: float, now: datetime, dt_s: float) -> None:
        """Advance by ``dt_s`` seconds that end at ``now``.

        Args:
            limit: What the profiles allow now, native units; at most the rating counts.
            now: True site time.
            dt_s: Length of the step, about a second.
        """
        if self.vehicle is None or not self.energised:
            self._rest(dt_s)
            return
        self._follow(min(limit, self.spec.native_max), now)
        if self.spec.is_dc:
            offer_w = self.offered if self.offered >= MIN_DC_OFFER_W else 0.0
            offers = offer_w > 0
            self.draw = self.vehicle.draw_dc(offer_w, dt_s)
            self.site_a = self._dc_input_a()
        else:
            offer_a = int(self.offered / PILOT_STEP_A + 1e-9) * PILOT_STEP_A
            offers = offer_a >= max(self.spec.min_a, MIN_CURRENT_A)
            n_phase = len(self.spec.phases)
            voltage_v = self.spec.nominal_v
            self.draw = self.vehicle.draw_ac(
                offer_a if offers else 0.0, n_phase, voltage_v, dt_s
            )
            self.site_a = self._rotate(self.draw.phase_a)
        self._count(self.draw.power_w, dt_s)
        if not offers:
            self.charging = Charging.SUSPENDED_EVSE
        elif self.draw.power_w > 0:
            self.charging = Charging.CHARGING
        else:
            self.charging = Charging.SUSPENDED_EV

    def _follow(self, limit: float, now: datetime) -> None:
        """Let the pilot follow a new limit: at once at the start, later with a lag."""
        is_new = not self._is_live
        self._is_live = True
        if is_new or limit == self.offered:
            self.offered = limit
            self._pending = None
            return
        since = now if self._pending is None else self._pending[1]
        self._pending = (limit, since)
        if (now - since).total_seconds() >= self.reaction_s:
            self.offered = limit
            self._pending = None

    def _rest(self, dt_s: float) -> None:
        """Keep the contactor open."""
        self._is_live = False
        self._pending = None
        self.offered = 0.0
        self.draw = NO_DRAW
        self.site_a = (0.0, 0.0, 0.0)
        self.charging = Charging.IDLE
        if self.vehicle is not None:
            self.vehicle.draw_dc(0.0, dt_s)
            self.charging = Charging.CONNECTED

    def _count(self, power_w: float, dt_s: float) -> None:
        energy = power_w * MILLIWH_PER_WH * dt_s / SECONDS_PER_HOUR
        self._carry_milliwh += energy
        whole = int(self._carry_milliwh)
        self.register_milliwh += whole
        self._carry_milliwh -= whole

    def _rotate(
        self, terminals: tuple[float, float, float]
    ) -> tuple[float, float, float]:
        site = [0.0, 0.0, 0.0]
        for terminal, phase in enumerate(self.spec.phases):
            site[phase] += terminals[terminal]
        return (site[0], site[1], site[2])

    def _dc_input_a(self) -> tuple[float, float, float]:
        input_w = self.draw.power_w / DC_EFFICIENCY + DC_AUXILIARY_W
        current_a = input_w / (self.spec.nominal_v * len(self.spec.phases))
        site = [current_a if phase in self.spec.phases else 0.0 for phase in range(3)]
        return (site[0], site[1], site[2])


def parse_rotation(text: str) -> tuple[int, ...]:
    """Read an ordered rotation such as ``L2L3L1``.

    Returns:
        Index of the site's phase (0 to 2) behind each terminal.

    Raises:
        ValueError: It does not name one to three different phases.
    """
    names = [text[i : i + 2] for i in range(0, len(text), 2)]
    if not names or len(set(names)) != len(names) or set(names) - set(PHASES):
        raise ValueError(f"not a phase rotation: {text!r}")
    return tuple(PHASES.index(name) for name in names)
