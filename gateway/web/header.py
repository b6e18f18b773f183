"""The site in a few figures, each with what exactly it means.

A figure can be focused, so that its explanation is there for keyboards and fingers as
well; the explanation is part of the page, not a title that only a mouse finds.
"""

from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from gateway.web.ports import View
from gateway.web.render import kw

FULL_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number with its unit, what stands below it, and what it means."""

    name: str
    value: str
    unit: str = ""
    under: str = ""
    is_bad: bool = False
    means: str


def header(site: View, now: datetime, zone: ZoneInfo) -> str:
    """The site's figures; members of ``site`` as of `gateway.web.ports.LiveView`."""
    speed = float(site["speed"])
    scaled = f'<span class="chip">× {speed:g}</span>' if speed != 1 else ""
    figures = (
        _charging(site),
        _supply(site),
        Figure(
            name="Sessions",
            value=str(site["n_session"]),
            under="cars plugged in",
            means="Sessions that have begun and not ended, at all stations.",
        ),
        _stations(site),
        Figure(
            name="Solar",
            value=kw(site["pv_w"]),
            unit="kW",
            under="produced now" if site["pv_w"] is not None else "no fresh reading",
            means="What the inverters produce by readings that are still fresh."
            " It lowers cost, never a limit.",
        ),
        _price(site["price"]),
        _time(now, zone),
    )
    return (
        f'<div class="name"><h1>{escape(str(site["name"]))}</h1>{scaled}</div>'
        f'<dl class="figures">{"".join(_html(one) for one in figures)}</dl>'
        f"{_site_bar(site['supply_w'], site['limit_w'])}"
    )


def _charging(site: View) -> Figure:
    n_left_out = int(site["n_left_out"])
    allowed_w = site["allowed_w"]
    under = "no limit set" if allowed_w is None else f"{kw(allowed_w)} kW allowed"
    if n_left_out:
        under = f"{n_left_out} not counted"
    return Figure(
        name="Charging",
        value=kw(site["power_w"]),
        unit="kW",
        under=under,
        is_bad=bool(n_left_out),
        means="What cars draw now: the sum over sessions whose station is connected and"
        " whose meter was read within 5 minutes. Others may draw something, too; they"
        " are not counted here. Allowed is what those same sessions may draw.",
    )


def _supply(site: View) -> Figure:
    limit_w = site["limit_w"]
    under = "no limit" if limit_w is None else f"of {kw(limit_w)} kW"
    if site["supply_w"] is None:
        under = "no cabinet yet"
    return Figure(
        name="Supply",
        value=kw(site["supply_w"]),
        unit="kW",
        under=under,
        means="What flows through the cabinets that nothing else feeds: cars, other"
        " equipment, and the upper bound of what is not measured. The limit is theirs;"
        " the bar below shows both.",
    )


def _stations(site: View) -> Figure:
    n_off = site["n_station"] - site["n_online"]
    under = f"✕ {n_off} offline" if n_off else "all online"
    if not site["n_station"]:
        under = "none registered"
    return Figure(
        name="Stations",
        value=f"{site['n_online']}",
        unit=f"/ {site['n_station']}",
        under=under,
        is_bad=n_off > 0,
        means="Stations with a connection to us, of all that are registered.",
    )


def _price(price: str | None) -> Figure:
    number, _, unit = str(price or "–").partition(" ")
    return Figure(
        name="Drivers pay",
        value=number,
        under=unit or "no tariff",
        means="What energy costs drivers now by the tariffs of the stations, tax"
        " included; from least to most where it differs. Groups of tokens may have a"
        " tariff of their own, and a bill further parts. What the site itself pays is"
        " drawn in the charts.",
    )


def _time(now: datetime, zone: ZoneInfo) -> Figure:
    local = now.astimezone(zone)
    return Figure(
        name="Site time",
        value=f"{local:%H:%M}",
        under=f"{local:%a %d %b} · {local:%Z}",
        means=f"The wall clock of the site, {zone.key}. All times on these pages are"
        " the site's.",
    )


def _html(figure: Figure) -> str:
    tail = f"<small>{escape(figure.unit)}</small>" if figure.unit else ""
    css = "under fault" if figure.is_bad else "under"
    return (
        f'<div class="figure" tabindex="0"><dt>{escape(figure.name)}</dt>'
        f"<dd><b>{escape(figure.value)}</b>{tail}"
        f'<span class="{css}">{escape(figure.under)}</span>'
        f'<span class="means" role="note">{escape(figure.means)}</span></dd></div>'
    )


def _site_bar(supply_w: float | None, limit_w: float | None) -> str:
    if limit_w is None or supply_w is None:
        return ""
    percent = max(0.0, FULL_PERCENT * supply_w / max(limit_w, 1.0))
    over = " over" if percent > FULL_PERCENT else ""
    return (
        f'<div class="bar thin{over}" role="img"'
        f' aria-label="{percent:.0f} percent of the supply in use">'
        f'<i class="drawn" style="width:{min(100.0, percent):.1f}%"></i></div>'
    )
