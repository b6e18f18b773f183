"""Every action of OCPP 1.6 and its security extension, and the tests of its effect.

Going out in the right form and being answered validly is shown for all at once
(``test_every_call.py``, ``test_ocpp_client.py``); the tests here show what comes of it.
"""

import dataclasses

from ocpp.v16 import call

from gateway.ocpp import v16_commands
from tests.conformance.marks import as_cell, shown_by

BOTH_WAYS = "DataTransfer"
IN, OUT = "from the station", "to the station"


def names() -> list[str]:
    """Each action with its direction, as marks have it."""
    found = vars(call).items()
    known = sorted(name for name, one in found if dataclasses.is_dataclass(one))
    sent = v16_commands.REQUESTS
    told = [f"{name} {IN}" for name in known if name not in sent or name == BOTH_WAYS]
    return told + [f"{name} {OUT}" for name in known if name in sent]


def table() -> str:
    """The actions as Markdown, one section per direction."""
    shown = shown_by("action16")
    lines: list[str] = []
    for title, direction in (
        ("Told by the station", IN),
        ("Asked of the station", OUT),
    ):
        lines += ["", f"### {title}", "", "| action | shown by |", "|---|---|"]
        for name in names():
            if name.endswith(direction):
                action = name.removesuffix(f" {direction}")
                lines.append(f"| {action} | {as_cell(shown.get(name, []))} |")
    return "\n".join(lines).strip() + "\n"
