"""Named misbehaviour of real chargers, switched on per station."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FAULTS: Final[dict[str, str]] = {
    "lie": "answers Accepted to every limit and charges at its rating all the same",
    "offline": "loses the network for some minutes again and again",
    "duplicate-frames": "sends every transaction message twice",
    "clock-skew": "its clock is 20 minutes ahead and is never set right",
    "lost-answers": "never hears some of the answers, and sends again",
    "reboot": "restarts without warning every now and then",
    "no-subprotocol": "offers no OCPP version when it connects",
    "wrong-version": "every other boot has the shape of the other OCPP version",
    "odd-url": "connects to //%XXid/, slashes doubled, first letter percent-encoded",
    "double-connect": "leaves a silent second socket behind whenever it connects",
    "no-pong": "never answers a WebSocket ping",
    "reserved-bits": "marks every 20th frame as compressed, which was never agreed",
    "flapping": "hangs up after two seconds and connects again at once",
    "old-tls": "wss only: speaks TLS 1.1 at most",
    "expired-root": "wss only: its one root is long over: it trusts no server",
    "hex-password": "presents its password in hexadecimal",
    "no-boot": "never sends a BootNotification",
    "crossing-calls": "answers no call before a call of its own was answered",
    "late-answers": "answers calls when they have long timed out",
    "stray-answers": "answers calls that nobody made",
    "odd-errors": "refuses every other call, misspelt and without a description",
    "schema-breaks": "sends over-long texts, nulls, unknown words and own members",
    "absurd-values": "sends the year 222222017, month 00 and 1634030126 connectors",
    "fragile": "restarts when its configuration is read or a message is triggered",
    "restart-to-set": "takes every setting after its next restart only",
    "odd-transaction-ids": "samples transaction 0 and stops transaction -1",
    "restarted-starts": "sends each start once more after the stop",
    "repeated-stops": "sends each stop once more under another message id",
    "differing-stops": "sends a second stop with 100 Wh more",
    "lost-starts": "never sends the start of a transaction",
    "relative-registers": "counts samples from the start of the transaction",
    "register-drops": "every third sample of the register is 0",
    "fresh-registers": "counts everything from 0 with each transaction",
    "placeholder-start": "says 0 for the register at the start of a transaction",
    "kilo-registers": "its registers are kWh and said to be Wh",
    "odd-units": "kWh with a decimal comma, no measurand, N/A for a number",
    "no-transaction-id": "samples name no transaction; sums come on connector 0",
    "local-time": "writes local time, two hours ahead of UTC, without a zone",
    "accepts-only": "accepts remote starts and stops, and does nothing",
    "no-session-limits": "refuses limits of transactions, and takes defaults",
    "no-zero-limit": "refuses every limit that holds a 0",
    "watts-only": "refuses limits in A",
    "three-periods": "refuses schedules of more than three periods",
    "relative-only": "refuses schedules that have a start of their own",
    "forgetful": "loses all its limits when it restarts",
    "false-schedules": "obeys its limits, and reports its rating for a schedule",
    "wrong-meter-key": "signs its registers with another key than its meter has",
    "changed-meter-key": "has got another meter: signs with its key, and tells it",
    "missing-pages": "leaves out a page between signed begin and end",
    "no-signed-begin": "signs the end of a transaction only",
    "meter-errors": "flags an error of the energy in its signed records",
    "falling-registers": "signs an end 100 kWh below its register",
    "rewritten-records": "writes the JSON of its records anew after signing",
    "hostile-xml": "sends its records in XML whose entities grow a billionfold",
    "absurd-records": "sends JSON nested 300 deep, without an end, for a record",
}
"""Name -> what the station does."""

SIGNING: Final = frozenset(
    {
        "wrong-meter-key",
        "changed-meter-key",
        "missing-pages",
        "no-signed-begin",
        "meter-errors",
        "falling-registers",
        "rewritten-records",
        "hostile-xml",
        "absurd-records",
    }
)
"""Those of a meter that signs; a station with one of them has such a meter."""

ROWS: Final[dict[str, int]] = {
    "lie": 25,
    "no-session-limits": 25,
    "no-zero-limit": 25,
    "watts-only": 25,
    "three-periods": 25,
    "relative-only": 25,
    "forgetful": 25,
    "false-schedules": 25,
    "offline": 26,
    "duplicate-frames": 19,
    "clock-skew": 24,
    "lost-answers": 18,
    "reboot": 10,
    "no-subprotocol": 1,
    "wrong-version": 2,
    "odd-url": 3,
    "double-connect": 4,
    "no-pong": 5,
    "reserved-bits": 6,
    "flapping": 7,
    "hex-password": 8,
    "old-tls": 9,
    "expired-root": 9,
    "no-boot": 10,
    "crossing-calls": 11,
    "late-answers": 12,
    "stray-answers": 12,
    "odd-errors": 13,
    "schema-breaks": 14,
    "absurd-values": 15,
    "fragile": 16,
    "restart-to-set": 16,
    "odd-transaction-ids": 17,
    "restarted-starts": 18,
    "repeated-stops": 19,
    "differing-stops": 19,
    "lost-starts": 20,
    "relative-registers": 21,
    "register-drops": 21,
    "fresh-registers": 21,
    "placeholder-start": 21,
    "kilo-registers": 22,
    "odd-units": 22,
    "no-transaction-id": 23,
    "local-time": 24,
    "accepts-only": 27,
    **dict.fromkeys(sorted(SIGNING), 28),
}
"""Name -> row of ``docs/conformance.md``, Real chargers."""

CLOCK_SKEW_S: Final = 1200.0
OFFLINE_EVERY_S: Final = 2400.0
OFFLINE_FOR_S: Final = 600.0
REBOOT_EVERY_S: Final = 3600.0
LOST_ANSWER_SHARE: Final = 0.2
LATE_ANSWER_S: Final = 40.0  # real seconds
FLAP_AFTER_S: Final = 2.0  # real seconds
RESERVED_BITS_EVERY: Final = 20


class UnknownFaultError(ValueError):
    """No fault has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of one station."""

    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse names that mean nothing."""
        for name in sorted(self.names - FAULTS.keys()):
            raise UnknownFaultError(f"no fault is called {name!r}; see --faults")

    def __contains__(self, name: str) -> bool:
        """Say whether the station has this fault."""
        assert name in FAULTS, name
        return name in self.names


def assign(
    requests: Iterable[str], station_ids: Iterable[str]
) -> dict[str, frozenset[str]]:
    """Read ``NAME`` (every station) and ``NAME@STATION`` requests.

    Returns:
        The fault names of each station.

    Raises:
        UnknownFaultError: A name or a station does not exist.
    """
    found: dict[str, set[str]] = {station_id: set() for station_id in station_ids}
    for request in requests:
        name, _, target = request.partition("@")
        if name not in FAULTS:
            raise UnknownFaultError(f"no fault is called {name!r}; see --faults")
        if target and target not in found:
            raise UnknownFaultError(f"--fault {request}: no station {target!r}")
        for station_id in [target] if target else found:
            found[station_id].add(name)
    return {station_id: frozenset(names) for station_id, names in found.items()}
