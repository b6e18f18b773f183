"""Why each EVSE may draw what it may: the words of the plan, and its price.

The price is the plan's: what one more kilowatt-hour through the full limit would be
worth in this step.
"""

from html import escape
from typing import Final

from gateway.web.ports import View
from gateway.web.render import kw

MICRO: Final = 1_000_000
PER_KWH: Final = "per kWh"
"""Unit of prices where the site buys by no tariff."""
NOTHING: Final = (
    '<p class="empty">Nothing is limited: no EVSE here is behind a cabinet.</p>'
)


def limit_lines(station: View, price_unit: str) -> str:
    """One line for each EVSE with a limit, as a list of facts.

    Args:
        station: Its view.
        price_unit: Of the plan's prices, such as ``EUR/kWh``.
    """
    rows = "".join(
        f"<div><dt>EVSE {evse['evse_id']}</dt><dd>{_line(evse, price_unit)}</dd></div>"
        for evse in station["evses"]
        if evse.get("limit_a") is not None
    )
    return f'<dl class="facts">{rows}</dl>' if rows else NOTHING


def _line(evse: View, price_unit: str) -> str:
    said = f"{float(evse['limit_a']):g} A ({kw(evse.get('limit_w'))} kW)"
    why = str(evse.get("why") or "all it can use")
    line = f'{said} <span class="soft">{escape(_sentence(why))}</span>'
    binding = evse.get("binding")
    if not binding:
        return line
    words = str(binding["words"])
    if words.casefold() not in why.casefold():
        line += f' <span class="soft">{escape(_sentence(words))}</span>'
    worth = int(binding["micro_per_kwh"]) / MICRO
    price = f"{worth:.2f} {escape(price_unit)}"
    return f"{line} One more kWh through it now would be worth {price}."


def _sentence(text: str) -> str:
    """Words as a sentence: one full stop at the end."""
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
