"""OCPP 2.0.1: tariff and cost (part 2, block I)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from gateway.domain.ids import IdToken
from gateway.ocpp.adapter import Command
from gateway.ocpp.prices import CostSoFar, DefaultPrice

COMPONENT: Final = "TariffCostCtrlr"
NO_COST_YET: Final = "The cost is shown in your receipt."
"""I05: for the end of a transaction while the station is offline."""


class V201Prices:
    """Satisfies `gateway.ocpp.prices.PriceWords`."""

    @property
    def answers_tell_costs(self) -> bool:
        """``totalCost`` and ``personalMessage`` are in the answers."""
        return True

    def default_price(self, shown: DefaultPrice) -> tuple[Command, ...]:
        """SetVariables of the fallback messages (I04, I05), one per message."""
        settings = {
            "TariffFallbackMessage": shown.text,
            "TotalCostFallbackMessage": NO_COST_YET,
            "Currency": shown.currency,
        }
        return tuple(
            Command(
                action="SetVariables",
                payload={
                    "setVariableData": [
                        {
                            "attributeValue": value,
                            "component": {"name": COMPONENT},
                            "variable": {"name": name},
                        }
                    ]
                },
            )
            for name, value in settings.items()
        )

    def languages(self, settings: Mapping[str, str]) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        """None: there is one fallback message (I04)."""
        return ()

    def default_text(self, language: str, text: str) -> Command | None:  # noqa: ARG002 - there is none
        """Nothing."""
        return None

    def user_price(self, token: IdToken, text: str) -> Command | None:  # noqa: ARG002 - the answer to Authorize told it
        """Nothing: ``personalMessage`` is in the answer (I01)."""
        return None

    def running_cost(self, cost: CostSoFar) -> Command | None:
        """CostUpdated (I02)."""
        return Command(
            action="CostUpdated",
            payload={"totalCost": cost.cost, "transactionId": cost.transaction_id},
        )

    def final_cost(
        self,
        transaction_id: str,  # noqa: ARG002 - the answer to the end told it
        cost: Decimal,  # noqa: ARG002 - likewise
        text: str,  # noqa: ARG002 - likewise
    ) -> Command | None:
        """Nothing: ``totalCost`` is in the answer (I03)."""
        return None

    def is_understood(self, answer: Mapping[str, object]) -> bool:  # noqa: ARG002 - it has no members
        """CostUpdated has an empty answer."""
        return True
