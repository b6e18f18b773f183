"""All flows by name, who plays which, and how they are played."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from sim_chargers.charger import Charger
from sim_chargers.flows import (
    charging,
    diagnostics,
    energy,
    firmware,
    operations,
    security,
)
from sim_chargers.flows.stage import Flow, FlowFailedError, Stage, Verdict

FLOWS: Final[dict[str, Flow]] = {
    flow.name: flow
    for part in (charging, diagnostics, energy, firmware, operations, security)
    for flow in part.FLOWS
}
"""Name -> flow."""

TIMEOUT_S: Final = 300.0  # real seconds


class UnknownFlowError(ValueError):
    """No flow has this name, or nobody can play it."""


def assign(
    requests: Iterable[str], versions: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Read ``NAME`` (every station of a fitting version) and ``NAME@STATION``.

    Args:
        requests: As on the command line, in the order of play.
        versions: OCPP version by station.

    Returns:
        The flows of each station that has any.

    Raises:
        UnknownFlowError: A name or a station does not exist, or no station speaks a
            version of the flow.
    """
    found: dict[str, tuple[str, ...]] = {}
    for request in requests:
        name, _, target = request.partition("@")
        if name not in FLOWS:
            raise UnknownFlowError(f"no flow is called {name!r}; see --flows")
        if target and target not in versions:
            raise UnknownFlowError(f"--flow {request}: no station {target!r}")
        players = [
            station_id
            for station_id in ([target] if target else versions)
            if versions[station_id] in FLOWS[name].versions
        ]
        if not players:
            wanted = " or ".join(FLOWS[name].versions)
            raise UnknownFlowError(f"--flow {request}: a {wanted} station is needed")
        for station_id in players:
            found[station_id] = (*found.get(station_id, ()), name)
    return found


async def play(
    station: Charger,
    flow: Flow,
    *,
    tokens: tuple[str, ...] = (),
    timeout_s: float = TIMEOUT_S,
) -> Verdict:
    """Play a flow on a station and write its verdict.

    Args:
        station: It is running; nobody else drives its first connector.
        flow: One of its version.
        tokens: Cards of the driver: the one that charges, and another.
        timeout_s: Real seconds for the whole story.
    """
    events, who = station.around.events, station.spec.id
    await station.is_up.wait()
    stage = Stage(station, flow, *([tokens] if tokens else []))
    events.emit(
        "flow_started", station=who, flow=flow.name, waits_for=list(flow.waits_for)
    )
    # What holds if the run is over before the flow is.
    verdict, reason = Verdict.UNFINISHED, None
    try:
        async with asyncio.timeout(timeout_s):
            await flow.play(stage)
        verdict = Verdict.PASSED
        stage.leave()
    except FlowFailedError as error:
        verdict, reason = Verdict.FAILED, str(error)
        stage.leave()
    except TimeoutError:
        stage.leave()
    finally:
        station.twists.clear()
        if verdict is Verdict.UNFINISHED:
            reason = f"waited for: {stage.waits}"
        members = {} if reason is None else {"reason": reason}
        events.emit(
            "flow_ended", station=who, flow=flow.name, verdict=verdict.value, **members
        )
    return verdict


async def play_all(
    station: Charger,
    names: Iterable[str],
    *,
    verdicts: list[Verdict],
    tokens: tuple[str, ...] = (),
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Play flows one after the other and append each verdict."""
    for name in names:
        verdict = await play(station, FLOWS[name], tokens=tokens, timeout_s=timeout_s)
        verdicts.append(verdict)


def table() -> str:
    """Write all flows as the table of ``docs/simulator.md``."""
    rows = ["| flow | OCPP | the station | waits for |", "|---|---|---|---|"]
    for flow in FLOWS.values():
        waits = ", ".join(flow.waits_for) or "nobody"
        versions = ", ".join(flow.versions)
        rows.append(f"| `{flow.name}` | {versions} | {flow.line} | {waits} |")
    return "".join(f"{row}\n" for row in rows)


def describe(flow: Flow) -> str:
    """Write the line of ``--flows``."""
    waits = f" [{', '.join(flow.waits_for)}]" if flow.waits_for else ""
    return f"{flow.name:28} {'+'.join(flow.versions):9} {flow.line}{waits}"
