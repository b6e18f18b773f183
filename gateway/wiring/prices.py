"""Prices out of the configuration: for plans, and for people to read."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from gateway.config import Config
from gateway.domain.tariff import TariffError
from gateway.services.group_problem import Prices

MICRO: Final = 1_000_000


def plan_prices(config: Config) -> Prices | None:
    """The import prices that plans reckon with; ``None``: they know none."""
    tariff = config.tariffs.get(config.optimizer.import_tariff or "")
    if tariff is None:
        return None

    def prices(start: datetime, step_s: int, n_step: int) -> list[int]:
        step = timedelta(seconds=step_s)
        return [tariff.price_at(start + step * index) for index in range(n_step)]

    return prices


def plan_price_unit(config: Config) -> str | None:
    """Of the prices that plans reckon with; ``None``: they know none."""
    tariff = config.tariffs.get(config.optimizer.import_tariff or "")
    return None if tariff is None else f"{tariff.currency}/kWh"


def price_text(config: Config, moment: datetime) -> str | None:
    """The default tariff's price of energy at a moment, for people; ``None``: none."""
    tariff = config.tariffs.get(config.billing.default_tariff or "")
    if tariff is None:
        return None
    try:
        price = Decimal(tariff.price_at(moment)) / MICRO
    except TariffError:
        return None
    return f"{price:.2f} {tariff.currency}/kWh"
