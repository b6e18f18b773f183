"""Prices that plans reckon with, out of the configuration."""

from datetime import datetime, timedelta

from gateway.config import Config
from gateway.services.group_problem import Prices


def plan_prices(config: Config) -> Prices | None:
    """The import prices that plans reckon with; ``None``: they know none."""
    return _prices(config, config.optimizer.import_tariff)


def feed_in_prices(config: Config) -> Prices | None:
    """What PV that is fed in earns; ``None``: nothing."""
    return _prices(config, config.optimizer.feed_in_tariff)


def _prices(config: Config, tariff_id: str | None) -> Prices | None:
    tariff = config.tariffs.get(tariff_id or "")
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
