"""A car: battery, phases, minimum current, taper, and how it wakes up."""

from dataclasses import dataclass, field
from typing import Final

MIN_CURRENT_A: Final = 6.0  # IEC 61851-1: below this duty cycle a car may not draw
RAMP_UP_A_PER_S: Final = 4.0
TAPER_FLOOR: Final = 0.08
FULL_SHARE: Final = 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a car takes at one instant.

    Attributes:
        phase_a: Current in each conductor of the EVSE, in the order of its terminals.
        power_w: Power into the car (DC: at the output of the station).
    """

    phase_a: tuple[float, float, float] = (0.0, 0.0, 0.0)
    power_w: float = 0.0


NO_DRAW: Final = Draw()


@dataclass(slots=True, kw_only=True)
class Vehicle:
    """One car while it is parked.

    Attributes:
        phases: Phases its charger uses, 1 to 3 (AC).
        max_a: Its own limit per phase (AC).
        max_dc_w: Its own limit at a DC station.
        target_soc: Share of the capacity at which it stops by itself.
        taper_soc: Share above which it takes less and less.
        wake_s: Seconds from an offer to the first ampere.
    """

    capacity_wh: float
    stored_wh: float
    phases: int = 3
    max_a: float = 16.0
    max_dc_w: float = 120_000.0
    target_soc: float = 1.0
    taper_soc: float = 0.9
    wake_s: float = 5.0
    _asleep_s: float = field(default=0.0)
    _current_a: float = field(default=0.0)

    def __post_init__(self) -> None:
        """Begin asleep: the first offer has to wake it."""
        self._asleep_s = self.wake_s

    @property
    def soc_percent(self) -> float:
        """State of charge, 0 to 100."""
        return 100.0 * self.stored_wh / self.capacity_wh

    @property
    def is_full(self) -> bool:
        """Whether it wants nothing more, whatever is offered."""
        return self.stored_wh >= self.target_soc * self.capacity_wh * FULL_SHARE

    def draw_ac(
        self, offered_a: float, n_phase: int, voltage_v: float, dt_s: float
    ) -> Draw:
        """Take current on AC for ``dt_s`` seconds and store the energy.

        Falls to a lower offer at once and rises slowly, as cars do.

        Args:
            offered_a: Current per phase signalled by the pilot; 0 or 6 and more.
            n_phase: Phases wired at the EVSE.
            voltage_v: Phase to neutral.
            dt_s: Length of the time step.
        """
        if self._rests(offered_a >= MIN_CURRENT_A, dt_s):
            return NO_DRAW
        wanted_a = max(MIN_CURRENT_A, self.max_a * self._taper())
        ceiling_a = min(offered_a, wanted_a, self.max_a)
        risen_a = max(self._current_a, MIN_CURRENT_A) + RAMP_UP_A_PER_S * dt_s
        self._current_a = min(ceiling_a, risen_a)
        used = min(self.phases, n_phase)
        power_w = self._current_a * voltage_v * used
        self._store(power_w, dt_s)
        a, b, c = (self._current_a if i < used else 0.0 for i in range(3))
        return Draw(phase_a=(a, b, c), power_w=power_w)

    def draw_dc(self, offered_w: float, dt_s: float) -> Draw:
        """Take power on DC for ``dt_s`` seconds and store the energy."""
        if self._rests(offered_w > 0, dt_s):
            return NO_DRAW
        power_w = min(offered_w, self.max_dc_w * self._taper())
        self._store(power_w, dt_s)
        return Draw(power_w=power_w)

    def _rests(self, is_offered: bool, dt_s: float) -> bool:
        if not is_offered or self.is_full:
            self._asleep_s = self.wake_s
            self._current_a = 0.0
            return True
        if self._asleep_s > 0:
            self._asleep_s -= dt_s
            return True
        return False

    def _taper(self) -> float:
        soc = self.stored_wh / self.capacity_wh
        if soc <= self.taper_soc:
            return 1.0
        left = (self.target_soc - soc) / max(1e-9, self.target_soc - self.taper_soc)
        return max(TAPER_FLOOR, min(1.0, left))

    def _store(self, power_w: float, dt_s: float) -> None:
        self.stored_wh += power_w * dt_s / 3600.0
