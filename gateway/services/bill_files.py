"""The bills of a month out of the database file, without a running gateway."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.domain.months import Month
from gateway.domain.topology import Site
from gateway.errors import StartupError
from gateway.services import bill_export
from gateway.services.bill_export import Place
from gateway.store import bills


def export(
    database: Path, site: Site, month: Month, write: Callable[[str], object]
) -> list[str]:
    """Write the CSV, of one moment; what it comes to, in lines for people.

    Raises:
        StartupError: There is no database, or it cannot be read.
    """
    place = Place(name=site.name, timezone=ZoneInfo(site.timezone))
    span = place.span(month)
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as conn:
            conn.execute("PRAGMA busy_timeout = 5000")
            conn.execute("BEGIN")
            for text in bill_export.file(bills.all_in_span(conn, span), place):
                write(text)
            found = bills.totals(conn, span)
            credits_ = bills.credits_in_span(conn, span)
    except sqlite3.Error as error:
        raise StartupError(f"cannot read the database {database}: {error}") from error
    totals = bill_export.totals_json(found, credits_, month, place)
    counts = [f"{totals[name]} {name}" for name in ("settled", "held", "waived")]
    return [
        f"{month}: {', '.join(counts)}",
        *(
            f"{one['currency']}: net {one['net']}, VAT {one['vat']}, gross"
            f" {one['gross']}, {one['energy_kwh']} kWh"
            for one in totals["totals"]
        ),
    ]
