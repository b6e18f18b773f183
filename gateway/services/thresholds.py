"""What a cabinet's threshold amounts to beside its fuse, in words and numbers."""

from gateway.domain.topology import Cabinet
from gateway.services.loads import Threshold

LINES = ("L1", "L2", "L3")


def effective(
    cabinet: Cabinet, threshold: Threshold, *, phase_v: float
) -> dict[str, object]:
    """What counts while a threshold holds: the lower of fuse and threshold.

    Args:
        cabinet: As it is configured.
        threshold: The one that was asked for.
        phase_v: Effective V per phase, to compare W with fuses in A.

    Returns:
        ``limit_a`` and ``limit_w`` in force, and as ``note`` what of the threshold is
        above the configured limit and so without effect; ``None``: nothing.
    """
    limit_da, notes = cabinet.limit_da, []
    if threshold.limit_da is not None and limit_da is not None:
        over = [
            f"{asked / 10:g} A on {line} (fuse {fuse / 10:g} A)"
            for line, asked, fuse in zip(
                LINES, threshold.limit_da, limit_da, strict=True
            )
            if asked > fuse
        ]
        if over:
            notes.append(f"limit_a: {', '.join(over)} is above the configured limit")
        one, two, three = (
            min(pair) for pair in zip(threshold.limit_da, limit_da, strict=True)
        )
        limit_da = (one, two, three)
    elif threshold.limit_da is not None:
        limit_da = threshold.limit_da
    limit_w = cabinet.limit_w
    if threshold.limit_w is not None:
        if limit_w is not None and threshold.limit_w > limit_w:
            notes.append(
                f"limit_w: {threshold.limit_w} W is above the configured limit of"
                f" {limit_w} W"
            )
        elif cabinet.limit_da is not None:
            fuse_w = sum(cabinet.limit_da) / 10 * phase_v
            if threshold.limit_w > fuse_w:
                notes.append(
                    f"limit_w: {threshold.limit_w} W is more than the fuses of"
                    f" {fuse_w:.0f} W"
                )
        limit_w = (
            threshold.limit_w if limit_w is None else min(limit_w, threshold.limit_w)
        )
    return {
        "limit_a": None if limit_da is None else [value / 10 for value in limit_da],
        "limit_w": limit_w,
        "note": f"{'; '.join(notes)}: the lower counts" if notes else None,
    }
