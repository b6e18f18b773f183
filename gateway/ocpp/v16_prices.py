"""OCPP 1.6J: prices by DataTransfer, as the OCA's paper on California pricing has it.

Vendor ``org.openchargealliance.costmsg``; the data of each message is JSON in a text.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from gateway.domain.ids import IdToken
from gateway.domain.rates import Rates
from gateway.ocpp.adapter import Command
from gateway.ocpp.frames import encode_payload
from gateway.ocpp.prices import COST_VENDOR, CostSoFar, DefaultPrice
from gateway.ocpp.readings import wire_time

_MULTILINGUAL: Final = "custommultilanguagemessages"
_LANGUAGES: Final = ("supportedlanguages", "multilanguagesupportedlanguages")
"""Keys with the languages, folded; stations use either name."""
_STRANGE: Final = frozenset({"UnknownVendorId", "UnknownMessageId", "NotSupported"})


class V16Prices:
    """Satisfies `gateway.ocpp.prices.PriceWords`."""

    @property
    def answers_tell_costs(self) -> bool:
        """1.6 has no room in its answers."""
        return False

    def default_price(self, shown: DefaultPrice) -> tuple[Command, ...]:
        """ChangeConfiguration; nothing is charged for a place after the transaction."""
        price: dict[str, object] = {
            "priceText": shown.text,
            "priceTextOffline": shown.text,
        }
        if shown.price_per_kwh is not None:
            price["chargingPrice"] = {"kWhPrice": shown.price_per_kwh}
        settings = {
            "DefaultPrice": encode_payload(price).decode(),
            "NumberOfDecimalsForCostValues": str(shown.minor_digits),
            "TimeOffset": shown.offset,
            "CustomIdleFeeAfterStop": "false",
        }
        if shown.offset_changes_at is not None and shown.next_offset is not None:
            changes_at = wire_time(shown.offset_changes_at)
            settings["NextTimeOffsetTransitionDateTime"] = changes_at
            settings["TimeOffsetNextTransition"] = shown.next_offset
        return tuple(
            Command(action="ChangeConfiguration", payload={"key": key, "value": value})
            for key, value in settings.items()
        )

    def languages(self, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Those it lists, if it says that it shows messages in several at all."""
        folded = {key.casefold(): value for key, value in settings.items()}
        if folded.get(_MULTILINGUAL, "").strip().casefold() != "true":
            return ()
        listed = next((folded[key] for key in _LANGUAGES if key in folded), "")
        return tuple(one.strip() for one in listed.split(",") if one.strip())

    def default_text(self, language: str, text: str) -> Command | None:
        """ChangeConfiguration of the key for this language."""
        value = encode_payload({"priceText": text, "priceTextOffline": text})
        return Command(
            action="ChangeConfiguration",
            payload={
                "key": f"DefaultPriceText,{language}",
                "value": value.decode(),
            },
        )

    def user_price(self, token: IdToken, text: str) -> Command | None:
        """SetUserPrice."""
        return _message("SetUserPrice", {"idToken": token.value, "priceText": text})

    def running_cost(self, cost: CostSoFar) -> Command | None:
        """RunningCost; without a price of time the state is always charging."""
        data: dict[str, object] = {
            "transactionId": int(cost.transaction_id),
            "timestamp": wire_time(cost.at),
            "meterValue": cost.register_wh,
            "cost": cost.cost,
            "state": "Idle" if cost.is_idle else "Charging",
            **_prices(cost.rates),
        }
        if cost.later is not None:
            data["nextPeriod"] = {
                "atTime": wire_time(cost.later.at),
                **_prices(cost.later.rates),
            }
        return _message("RunningCost", data)

    def final_cost(
        self, transaction_id: str, cost: Decimal, text: str
    ) -> Command | None:
        """FinalCost."""
        return _message(
            "FinalCost",
            {"transactionId": int(transaction_id), "cost": cost, "priceText": text},
        )

    def is_understood(self, answer: Mapping[str, object]) -> bool:
        """See `PriceWords.is_understood`."""
        return str(answer.get("status")) not in _STRANGE


def _prices(rates: Rates) -> dict[str, object]:
    charging: dict[str, object] = {"kWhPrice": rates.per_kwh}
    if rates.per_hour is not None:
        charging["hourPrice"] = rates.per_hour
    if rates.flat is not None:
        charging["flatFee"] = rates.flat
    if rates.idle_per_hour is None:
        return {"chargingPrice": charging}
    return {
        "chargingPrice": charging,
        "idlePrice": {"hourPrice": rates.idle_per_hour},
    }


def _message(message_id: str, data: Mapping[str, object]) -> Command:
    return Command(
        action="DataTransfer",
        payload={
            "vendorId": COST_VENDOR,
            "messageId": message_id,
            "data": encode_payload(data).decode(),
        },
    )
