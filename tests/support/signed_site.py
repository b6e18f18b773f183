"""What tests of signed sessions share."""

from datetime import UTC, datetime

from tests.support.api_site import ApiSite

EICHRECHT = {"currency": "EUR", "default_tariff": "day", "regime": "eichrecht"}
"""A site where only signed readings settle by themselves."""


def at(site: ApiSite, seconds: float) -> str:
    """So many seconds after the site's now, as a station writes it."""
    moment = site.gateway.clock.now().timestamp() + seconds
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
