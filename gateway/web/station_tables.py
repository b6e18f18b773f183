"""The tables of a station's page: what it is told, what it says, what it holds."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from gateway.web import station_words as words
from gateway.web.command_lines import action_name
from gateway.web.ports import View
from gateway.web.render import StateMark, mark_html
from gateway.web.times import moment

EXPIRING: Final = timedelta(days=30)

_EXPIRING: Final = StateMark("fault", "▲", "expires soon")
_EXPIRED: Final = StateMark("fault", "▲", "expired")


def certificates(station: View, now: datetime, zone: ZoneInfo) -> str:
    """What we signed for it, and what it last said that it holds."""

    def row(one: View) -> Sequence[str]:
        kind = str(one["type"])
        mark = words.mark_for(words.CERTIFICATE_STATES, str(one["status"]))
        told = "as it said" if one["source"] == "station" else "signed by us"
        when = escape(moment(one["at"], now, zone))
        return (
            escape(words.CERTIFICATE_TYPES.get(kind, kind)),
            f'{mark_html(mark)} <span class="soft">{told}, {when}</span>',
            until(one["not_after"], now, zone),
            f'<span class="code">{escape(str(one["serial"]))}</span>',
        )

    return table(
        ("Certificate", "State", "Validity", "Serial number"),
        station["certificates"],
        row,
        "None known. Ask for them with"
        " <code>GET /api/v1/stations/ID/certificates</code>; profile 3 needs one of its"
        " own.",
    )


def meter_keys(station: View, now: datetime, zone: ZoneInfo) -> str:
    """What its meters sign with: pinned by a person, or only sent along."""

    def row(one: View) -> Sequence[str]:
        mark = words.mark_for(words.METER_KEY_STATES, str(one["state"]))
        serial = one["meter_serial"]
        digits, curve = escape(str(one["fingerprint"])), escape(str(one["curve"]))
        return (
            f"EVSE {one['evse_id']}",
            mark_html(mark),
            f'<span class="code">{digits}</span> <span class="soft">{curve}</span>',
            escape(str(serial)) if serial else '<span class="soft">any</span>',
            escape(moment(one["at"], now, zone)),
        )

    found = table(
        ("Where", "State", "Fingerprint", "Meter", "Pinned or last seen"),
        station["meter_keys"],
        row,
        "None known.",
    )
    name = quote(str(station["station_id"]), safe="")
    link = f'<a href="/meter-keys/{name}">Pin the key of a meter</a>'
    return f'{found}<p class="act">{link}</p>'


def commands(station: View, now: datetime, zone: ZoneInfo) -> str:
    """What was asked of it, newest first."""

    def row(one: View) -> Sequence[str]:
        mark = words.mark_for(words.COMMAND_STATES, str(one["state"]))
        why = escape(words.command_words(one))
        if one["state"] == "queued" and one["deadline_at"]:
            why = f"until {escape(moment(one['deadline_at'], now, zone))}"
        return (
            escape(moment(one["created_at"], now, zone)),
            f"<b>{escape(action_name(str(one['action'])))}</b>",
            mark_html(mark),
            why,
        )

    return table(
        ("Asked", "Command", "State", "What came of it"),
        station["commands"],
        row,
        "Nothing was asked of it yet. Commands are sent through the API:"
        " <code>POST /api/v1/stations/ID/commands</code>.",
    )


def limits(station: View, now: datetime, zone: ZoneInfo) -> str:
    """What plans sent it last."""

    def row(one: View) -> Sequence[str]:
        mark = words.mark_for(words.COMMAND_STATES, str(one["state"]))
        return (
            escape(moment(one["created_at"], now, zone)),
            escape(words.limit_words(one)),
            mark_html(mark),
            escape(words.command_words(one)),
        )

    return table(
        ("Sent", "Limit", "State", "What came of it"),
        station["limits"],
        row,
        "No plan has sent it a limit.",
    )


def reservations(station: View, now: datetime, zone: ZoneInfo) -> str:
    """Reservations, newest first."""

    def row(one: View) -> Sequence[str]:
        mark = words.mark_for(words.RESERVATION_STATES, str(one["status"]))
        return (
            f"<b>{escape(str(one['reservation_id']))}</b>",
            f"EVSE {one['evse_id']}" if one["evse_id"] else "any EVSE",
            escape(str(one["id_token"])),
            mark_html(mark),
            escape(moment(one["expires_at"], now, zone)),
        )

    return table(
        ("Number", "Where", "For", "State", "Until"),
        station["reservations"],
        row,
        "None.",
    )


def deviations(station: View, now: datetime, zone: ZoneInfo) -> str:
    """Where it departs from OCPP but is understood, latest first."""

    def row(one: View) -> Sequence[str]:
        kind = str(one["kind"])
        said = words.DEVIATIONS.get(kind, kind)
        action, path = escape(str(one["action"])), escape(str(one["path"]))
        return (
            f'{escape(said)} <span class="code soft">{escape(kind)}</span>',
            f'{action} <span class="code soft">{path}</span>',
            f"<b>{one['messages']}</b>",
            escape(moment(one["last_seen_at"], now, zone)),
            escape(str(one["detail"] or "")),
        )

    return table(
        ("What it does, and what we do", "Where", "Messages", "Last", "Example"),
        station["deviations"],
        row,
        "None: it keeps to OCPP as far as we have seen.",
    )


def refused(station: View, now: datetime, zone: ZoneInfo) -> str:
    """Its last messages that were answered with an error."""

    def row(one: View) -> Sequence[str]:
        return (
            escape(moment(one["received_at"], now, zone)),
            escape(str(one["action"])),
            f'<span class="code">{escape(str(one["error"]))}</span>',
            escape(str(one["description"])),
        )

    return table(
        ("Received", "Message", "Answered", "Why"),
        station["refused"],
        row,
        "None of its messages was refused.",
    )


def orphans(station: View, now: datetime, zone: ZoneInfo) -> str:
    """What it last said of transactions that fit no session; they bill nobody."""

    def row(one: View) -> Sequence[str]:
        kind, reason = str(one["kind"]), str(one["reason"])
        number, register = one["transaction_id"], one["register_milliwh"]
        named = "without a number" if number is None else escape(str(number))
        shown = "" if register is None else f"{register / 1_000_000:.3f} kWh"
        return (
            escape(moment(one["occurred_at"], now, zone)),
            f'<span class="code">{named}</span>',
            escape(words.ORPHANS.get(kind, kind)),
            shown,
            escape(words.ORPHAN_REASONS.get(reason, reason)),
        )

    return table(
        ("When", "Transaction", "Said", "Register", "Why it fits none"),
        station["orphans"],
        row,
        "All that it said of transactions fits a session.",
    )


def until(not_after: str | None, now: datetime, zone: ZoneInfo) -> str:
    """How long a certificate is valid, as HTML."""
    if not_after is None:
        return "expiry unknown: it did not pass through here"
    end = datetime.fromisoformat(not_after)
    said = f"valid until {end.astimezone(zone):%d %b %Y}"
    if end <= now:
        return f"{mark_html(_EXPIRED)} {said}"
    return f"{mark_html(_EXPIRING)} {said}" if end - now <= EXPIRING else said


def table(
    columns: Sequence[str],
    found: Sequence[View],
    row: Callable[[View], Sequence[str]],
    empty: str,
) -> str:
    """A table that becomes a stack of cards on a phone; ``empty`` is HTML."""
    if not found:
        return f'<p class="empty">{empty}</p>'
    heads = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{name}"><div>{html}</div></td>'
            for name, html in zip(columns, row(one), strict=True)
        )
        + "</tr>"
        for one in found
    )
    return (
        f'<table class="stack"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
