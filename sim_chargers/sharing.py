"""How a station splits its own maximum among its EVSEs."""

from collections.abc import Mapping


def share(cap: float, wanted: Mapping[int, float], least: float) -> dict[int, float]:
    """Split a cap: equal parts, what one does not want goes to the others.

    Where equal parts would fall below the least useful limit, the EVSEs with the
    highest numbers wait.

    Args:
        cap: Limit on the sum, native units.
        wanted: Limit of each EVSE that is charging, native units.
        least: Smallest useful limit of one EVSE, 0 for none.
    """
    given = dict.fromkeys(wanted, 0.0)
    usable = [evse for evse in sorted(wanted) if wanted[evse] >= max(least, 1e-9)]
    while usable:
        open_evses = sorted(usable, key=lambda evse: wanted[evse])
        left = cap
        for index, evse in enumerate(open_evses):
            given[evse] = min(wanted[evse], left / (len(open_evses) - index))
            left -= given[evse]
        if min(given[evse] for evse in usable) >= least:
            return given
        given[usable.pop()] = 0.0
    return given
