"""Writes the generated parts of the documentation.

``python -m tests.docs.tables`` writes them between their marks; a test holds them equal
to the code, so that neither can drift.
"""

import sys
from typing import Final

from tests.docs import metering, operators, routes, settings
from tests.docs.pages import DOCS, Written

WRITTEN: Final = (
    Written(page=DOCS / "configuration.md", name="settings", make=settings.table),
    Written(page=routes.PAGE, name="routes", make=routes.table),
    Written(page=operators.PAGE, name="metrics", make=operators.metric_table),
    Written(page=metering.PAGE, name="reasons", make=metering.table),
)


def main() -> int:
    """Write all of them."""
    for part in WRITTEN:
        part.write()
        sys.stdout.write(f"{part.page.name}: {part.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
