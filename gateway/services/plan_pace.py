"""How often a group is planned: at once after a pause, then once in a while."""


class PlanPace:
    """Lets the first of many occasions through and gathers the rest.

    Args:
        gap_s: Real seconds from the start of one solve to the next, at least.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._begun_s: float | None = None

    def left_s(self, loop_s: float) -> float:
        """Seconds until the next solve may begin, by the loop's clock; 0: now."""
        if self._begun_s is None:
            return 0.0
        return max(0.0, self._begun_s + self._gap_s - loop_s)

    def begin(self, loop_s: float) -> None:
        """A solve begins."""
        self._begun_s = loop_s
