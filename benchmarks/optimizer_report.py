"""Paired comparison of policies over the same days: differences, errors, who loses."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Figures = Mapping[str, Any]
"""One day of one policy, see ``figures`` in ``bench_optimizer``."""

Runs = Mapping[str, Mapping[str, Mapping[str, Figures]]]
"""Case -> policy -> seed -> figures."""

BASELINE: Final = "edf"
OFFLINE: Final = "offline"
OFFLINE_WHOLE: Final = "offline in whole A"
_BOUNDS: Final = {OFFLINE: "gap_share", OFFLINE_WHOLE: "whole_gap_share"}
_TIE: Final = 1e-4
"""Days whose energy differs by less are ties."""

_LOSES: Final = 0.05
"""A driver who gets this part of the need less than under the baseline loses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Difference of one figure between two policies on the same days.

    Attributes:
        mean: Of the differences.
        error: Standard error of the mean.
        wins: Days with a larger value than the baseline.
        losses: Days with a smaller one.
    """

    mean: float
    error: float
    wins: int
    losses: int


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Paired:
    """Compare the same days, one by one."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    spread = statistics.stdev(differences) if len(differences) > 1 else math.nan
    return Paired(
        mean=statistics.fmean(differences),
        error=spread / math.sqrt(len(differences)),
        wins=sum(one > _TIE for one in differences),
        losses=sum(one < -_TIE for one in differences),
    )


def merged(parts: Iterable[Runs]) -> dict[str, dict[str, dict[str, Figures]]]:
    """Put runs that were made in parts together."""
    whole: dict[str, dict[str, dict[str, Figures]]] = {}
    for part in parts:
        for case, policies in part.items():
            for policy, days in policies.items():
                whole.setdefault(case, {}).setdefault(policy, {}).update(days)
    return whole


def summary(
    policies: Mapping[str, Mapping[str, Figures]],
) -> dict[str, dict[str, float | int]]:
    """Means of a case per policy, and paired differences with the baseline.

    Only days that policy and baseline both have are compared.
    """
    base = policies.get(BASELINE, {})
    found: dict[str, dict[str, float | int]] = {}
    for policy, days in policies.items():
        seeds = sorted(days, key=int)
        row: dict[str, float | int] = {"days": len(seeds)}
        for key in ("energy", "full", "worst", "p10", "cost_per_kwh", "switches_per_h"):
            if all(key in days[seed] for seed in seeds):
                row[key] = statistics.fmean(days[seed][key] for seed in seeds)
        both = [seed for seed in seeds if seed in base]
        if policy != BASELINE and both:
            row |= _against(days, base, both)
        if policy not in {BASELINE, *_BOUNDS}:
            for bound, key in _BOUNDS.items():
                best = policies.get(bound, {})
                known = [seed for seed in both if seed in best]
                if known:
                    row[key] = _gap_share(days, base, best, known)
        if policy not in _BOUNDS:
            cpu_ms = sorted(ms for seed in seeds for ms in days[seed]["cpu_ms"])
            row["cpu_ms"] = statistics.fmean(cpu_ms)
            row["cpu_ms_p95"] = cpu_ms[int(0.95 * (len(cpu_ms) - 1))]
            row["violation_a"] = max(days[seed]["violation_a"] for seed in seeds)
            row["fallbacks"] = sum(days[seed]["n_fallback"] for seed in seeds)
        found[policy] = row
    return found


def _gap_share(
    days: Mapping[str, Figures],
    base: Mapping[str, Figures],
    best: Mapping[str, Figures],
    seeds: Sequence[str],
) -> float:
    """Part of the way from the baseline to a bound; not a number where it is short."""
    room = sum(best[s]["energy"] - base[s]["energy"] for s in seeds)
    ours = sum(days[s]["energy"] - base[s]["energy"] for s in seeds)
    return ours / room if room > _TIE else math.nan


def _against(
    days: Mapping[str, Figures], base: Mapping[str, Figures], both: Sequence[str]
) -> dict[str, float | int]:
    row: dict[str, float | int] = {}
    for key in ("energy", "full", "worst", "p10"):
        if all(key in days[seed] for seed in both):
            found = paired([days[s][key] for s in both], [base[s][key] for s in both])
            row |= {f"{key}_vs": found.mean, f"{key}_se": found.error}
            if key == "energy":
                row |= {"wins": found.wins, "losses": found.losses}
    ratios = [days[s]["cost_per_kwh"] / base[s]["cost_per_kwh"] - 1 for s in both]
    change = paired(ratios, [0.0] * len(ratios))
    row |= {"cost_vs": change.mean, "cost_se": change.error}
    if all("served" in days[seed] for seed in both):
        moves = [
            ours - theirs
            for seed in both
            for ours, theirs in zip(
                days[seed]["served"], base[seed]["served"], strict=True
            )
        ]
        row["gain_share"] = statistics.fmean(one > _LOSES for one in moves)
        row["lose_share"] = statistics.fmean(one < -_LOSES for one in moves)
    return row


def table(runs: Runs) -> str:
    """Write every case as a Markdown table; standard errors in brackets."""
    lines: list[str] = []
    for case, policies in runs.items():
        rows = summary(policies)
        days = max(int(row["days"]) for row in rows.values())
        lines += [f"**{case}** ({days} days)", "", *_HEAD]
        for policy, row in rows.items():
            cells = [write(row) for _, write in _COLUMNS]
            lines.append(f"| {policy} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _percent(key: str) -> Callable[[Mapping[str, float]], str]:
    return lambda row: f"{100 * row[key]:.2f}" if key in row else ""


def _versus(key: str) -> Callable[[Mapping[str, float]], str]:
    def write(row: Mapping[str, float]) -> str:
        if f"{key}_vs" not in row:
            return ""
        return f"{100 * row[f'{key}_vs']:+.2f} ({100 * row[f'{key}_se']:.2f})"

    return write


def _pair(first: str, second: str, form: str) -> Callable[[Mapping[str, float]], str]:
    def write(row: Mapping[str, float]) -> str:
        return f"{form % row[first]}/{form % row[second]}" if first in row else ""

    return write


def _share(key: str) -> Callable[[Mapping[str, float]], str]:
    return lambda row: f"{100 * row[key]:.0f}" if key in row else ""


_COLUMNS: Final[tuple[tuple[str, Callable[[Mapping[str, float]], str]], ...]] = (
    ("energy %", _percent("energy")),
    ("vs EDF pp", _versus("energy")),
    ("W/L", _pair("wins", "losses", "%d")),
    ("of the gap %", _share("gap_share")),
    ("... in whole A %", _share("whole_gap_share")),
    ("full %", _percent("full")),
    ("vs EDF pp", _versus("full")),
    ("worst %", _percent("worst")),
    ("vs EDF pp", _versus("worst")),
    ("p10 %", _percent("p10")),
    (
        "gain/lose > 5 pp, % of drivers",
        lambda row: (
            f"{100 * row['gain_share']:.1f}/{100 * row['lose_share']:.1f}"
            if "gain_share" in row
            else ""
        ),
    ),
    ("cost/kWh", lambda row: f"{row['cost_per_kwh']:.4f}"),
    ("vs EDF %", _versus("cost")),
    (
        "switches/h",
        lambda row: f"{row['switches_per_h']:.2f}" if "switches_per_h" in row else "",
    ),
    ("CPU ms mean/p95", _pair("cpu_ms", "cpu_ms_p95", "%.1f")),
    (
        "A above",
        lambda row: f"{row['violation_a']:.1f}" if "violation_a" in row else "",
    ),
)
_HEAD: Final = (
    f"| policy | {' | '.join(name for name, _ in _COLUMNS)} |",
    f"|---|{'---:|' * len(_COLUMNS)}",
)
