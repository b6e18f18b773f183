"""Settings by which a station is told to sign begin and end of a transaction.

Only what a station has told of itself is written, and only where it says otherwise.
Samples in between stay unsigned unless the station signs them by itself: begin and end
prove the energy.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.ocpp.adapter import Command

Rule: TypeAlias = Callable[[str], str]
"""From what a setting is, empty if unknown, to what it shall be."""

EDGES: Final = ("Transaction.Begin", "Transaction.End")
IN_STOP: Final = "stoptransactionsignaturecontexts"
IN_VALUES: Final = "metervaluessignaturecontexts"
TELL_KEY: Final = "publickeywithsignedmetervalue"
TOLD_ONCE: Final = "OncePerTransaction"
_SWITCHES_16: Final = frozenset({"sampleddatasignreadings", "aligneddatasignreadings"})
_SWITCHES_201: Final = frozenset(
    {"sampleddatactrlr.signreadings", "aligneddatactrlr.signreadings"}
)
_TELL_KEY_201: Final = f"ocppcommctrlr.{TELL_KEY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldSetting:
    """A setting as its station told it.

    Attributes:
        name: Key of 1.6; of 2.0.1 component and variable with a dot between them.
    """

    name: str
    value: str | None
    is_readonly: bool


def keys_to_sign(told: Sequence[ToldSetting]) -> dict[str, str]:
    """Configuration keys of 1.6 to write: OCMF's recommendation, and the OCA's paper.

    With both edges in StopTransaction they are not asked for in MeterValues as well.
    """
    known = _writable(told)
    carries = IN_STOP if IN_STOP in known else IN_VALUES
    rules: dict[str, Rule] = dict.fromkeys(_SWITCHES_16, _on)
    return _changes(known, rules | {carries: _with_edges, TELL_KEY: _key_told})


def variables_to_sign(told: Sequence[ToldSetting]) -> dict[str, str]:
    """Variables of 2.0.1 to write, component and variable with a dot (J01, J02).

    Of a station that has told nothing yet, the one that every station has that signs.
    """
    if not told:
        return {"SampledDataCtrlr.SignReadings": "true"}
    rules: dict[str, Rule] = dict.fromkeys(_SWITCHES_201, _on)
    return _changes(_writable(told), rules | {_TELL_KEY_201: _key_told})


def key_commands(told: Sequence[ToldSetting]) -> tuple[Command, ...]:
    """ChangeConfiguration of each key that shall be another."""
    return tuple(
        Command(action="ChangeConfiguration", payload={"key": key, "value": value})
        for key, value in keys_to_sign(told).items()
    )


def variable_commands(told: Sequence[ToldSetting]) -> tuple[Command, ...]:
    """SetVariables of each variable that shall be another."""
    return tuple(_set(name, value) for name, value in variables_to_sign(told).items())


def _set(name: str, value: str) -> Command:
    component, _, variable = name.partition(".")
    item = {
        "attributeValue": value,
        "component": {"name": component},
        "variable": {"name": variable},
    }
    return Command(action="SetVariables", payload={"setVariableData": [item]})


def _changes(
    known: Mapping[str, ToldSetting], rules: Mapping[str, Rule]
) -> dict[str, str]:
    """What is to be written: a setting with a rule that is not yet as the rule says."""
    wanted: dict[str, str] = {}
    for name, one in known.items():
        rule, present = rules.get(name), one.value or ""
        if rule is None:
            continue
        value = rule(present)
        if value.casefold() != present.strip().casefold():
            wanted[one.name] = value
    return wanted


def _writable(told: Iterable[ToldSetting]) -> dict[str, ToldSetting]:
    """What may be written, by folded name."""
    return {one.name.casefold(): one for one in told if not one.is_readonly}


def _with_edges(value: str) -> str:
    """A list of contexts with begin and end; what it has stays, in its order."""
    words = [word.strip() for word in value.split(",") if word.strip()]
    folded = {word.casefold() for word in words}
    return ",".join(words + [edge for edge in EDGES if edge.casefold() not in folded])


def _on(_value: str) -> str:
    return "true"


def _key_told(value: str) -> str:
    """How often the key goes along: more often than never is left as it is.

    Part 2 has words for it, its appendix 3 a boolean.
    """
    said = value.strip()
    match said.casefold():
        case "" | "never":
            return TOLD_ONCE
        case "false":
            return "true"
        case _:
            return said
