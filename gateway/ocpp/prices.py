"""What the rest of the system sees of prices and costs on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from gateway.domain.ids import IdToken
from gateway.domain.rates import NextRates, Rates
from gateway.ocpp.adapter import Command

COST_VENDOR: Final = "org.openchargealliance.costmsg"
"""Of DataTransfer about prices and costs."""
UNPLUGGED: Final = "ConnectorUnplugged"
"""What stations send that charge for the place after the transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultPrice:
    """What a station shows to everybody, and while it is offline.

    Attributes:
        text: In the site's language.
        price_per_kwh: Where there is only one, in major units.
        offset: Of local time, as ``+02:00``; ``next_offset`` is the one after it.
    """

    text: str
    currency: str
    minor_digits: int
    price_per_kwh: Decimal | None
    offset: str
    next_offset: str | None = None
    offset_changes_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSoFar:
    """What a running session costs.

    Attributes:
        register_wh: On which the cost is based, read at ``at``.
        is_idle: The car does not charge, and that makes a difference.
        rates: Now; ``later`` says from when on others hold.
    """

    transaction_id: str
    at: datetime
    register_wh: int
    cost: Decimal
    rates: Rates
    later: NextRates | None = None
    is_idle: bool = False


class PriceWords(Protocol):
    """Prices and costs in one OCPP version; ``None``: it has no message for it."""

    @property
    def answers_tell_costs(self) -> bool:
        """Whether answers to transaction messages tell the cost already."""
        ...

    def default_price(self, shown: DefaultPrice) -> tuple[Command, ...]:
        """Settings; a station that refuses the first shows no prices at all."""
        ...

    def languages(self, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Languages in which a station can show the default price besides.

        Args:
            settings: What it says of itself, as far as it was read.
        """
        ...

    def default_text(self, language: str, text: str) -> Command | None:
        """The setting of the default price in one of these languages."""
        ...

    def user_price(self, token: IdToken, text: str) -> Command | None:
        """The price for one driver, who was accepted a moment ago."""
        ...

    def running_cost(self, cost: CostSoFar) -> Command | None:
        """The cost so far."""
        ...

    def final_cost(
        self, transaction_id: str, cost: Decimal, text: str
    ) -> Command | None:
        """The cost of an ended transaction."""
        ...

    def is_understood(self, answer: Mapping[str, object]) -> bool:
        """Whether a station that answered so knows what such a message is."""
        ...
