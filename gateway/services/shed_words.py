"""What the fast loop found and did, in words for people."""

from collections.abc import Sequence
from typing import Final

from gateway.domain.envelope import NO_LIMIT, TOTAL, Draw
from gateway.services.shedding import Measured, Shed

RELEASED: Final = "The meter has shown room for long enough: nothing is held back."
LOST: Final = (
    "Its meter has not told anything fresh: other equipment counts at its worst case,"
    " and an EVSE that disobeys is found by its own meter only. Nothing that was held"
    " back is given back."
)
BACK: Final = "Its meter tells fresh readings again."


def note(held: Draw, *, is_lost: bool) -> str | None:
    """How a cabinet stands with its feeder meter; ``None``: as it should."""
    found = []
    if any(held):
        found.append(
            f"{_amps(held)} are held back: the meter showed more than the limit, by"
            " current that no limit reaches. They are given back slowly once it is"
            " gone."
        )
    if is_lost:
        found.append(LOST)
    return " ".join(found) or None


def cut(measured: Measured, held: Shed, *, is_advice: bool = False) -> str:
    """What was cut, and which current cannot be controlled."""
    parts = [f"The meter shows {_amps(measured.feeder)}"]
    if any(measured.generation):
        parts.append(f"and {_amps(measured.generation)} are generated behind it")
    parts.append(f"where {_limit(measured)} may flow:")
    if is_advice:
        parts.append("the cabinet only advises, so nothing is cut.")
    elif any(held.taken):
        parts.append(
            "limits were cut at once. No limit reaches "
            f"{_amps(held.taken)}: other equipment, or EVSEs that do not obey."
        )
    else:
        parts.append("limits that were allowed before are being cut already.")
    return " ".join(parts)


def stuck(held: Shed, unreached: Sequence[str]) -> str:
    """What cannot be shed, and who may be drawing it."""
    known = ""
    if unreached:
        known = f" EVSEs with a car that no limit reaches: {', '.join(unreached)}."
    return (
        f"With all cars at their floors {_amps(held.residual)} stay above the limit."
        f"{known} Switch something off by hand; the overcurrent protection decides."
    )


def exporting(measured: Measured, names: Sequence[str]) -> str:
    """More is fed in than may be; only those who generate can change that."""
    one, two, three = (value / 10 for value in measured.exported)
    return (
        f"{one:g}/{two:g}/{three:g} A more are fed in than may be. No limit of a car"
        f" helps: lower {' or '.join(names) or 'the generation'}."
    )


def _limit(measured: Measured) -> str:
    tight = measured.limit
    if tight[0] >= NO_LIMIT:
        return f"{tight[TOTAL] / 10:g} A over all phases"
    text = _amps(tight)
    if any(measured.generation) and measured.gross[:TOTAL] != tight[:TOTAL]:
        text += f" from the supply, {_amps(measured.gross)} on the busbars"
    return text


def _amps(draw: Draw | None) -> str:
    values = (0, 0, 0, 0) if draw is None else draw
    return "/".join(f"{value / 10:g}" for value in values[:TOTAL]) + " A"
