"""What a release of the optimizer is, by its hashes, and how it gets on the chain.

An entry of ``AlgorithmRegistry`` never changes: an algorithm is released once, under
the name and version that its plans carry. Everybody can build the wheel again from the
same tree and compare.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ledger.algorithms import PublishedAlgorithm, algorithm_id
from ledger.errors import ArtifactError
from ledger.settle import AlgorithmRelease
from ledger.wheel import ROOT, build_apart, build_wheel, source_sha256, wheel_sha256

WHEEL: Final = "wattproof-optimizer"
LOCK: Final = "requirements.lock"
GIT_TIMEOUT_S: Final = 30
_TREE: Final = ("optimizer", "packages/optimizer", "LICENSE", LOCK)
_ALGORITHM: Final = re.compile(
    r'^ALGORITHM: Final = "([a-z][a-z0-9-]*/[0-9]+)"$', re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRelease:
    """A release that was built here.

    Attributes:
        algorithm: Name and version, as plans carry them.
        wheel: Where the wheel was put.
        changed: Files of the tree that are not as committed; none if it is no checkout
            of git.
    """

    algorithm: str
    wheel: Path
    wheel_sha256: bytes
    source_sha256: bytes
    environment_sha256: bytes
    changed: tuple[str, ...]

    def entry(self, active_from: datetime, uri: str) -> AlgorithmRelease:
        """Return what goes to the registry."""
        return AlgorithmRelease(
            algorithm_id=algorithm_id(self.algorithm),
            version=self.algorithm,
            wheel_sha256=self.wheel_sha256,
            source_sha256=self.source_sha256,
            environment_sha256=self.environment_sha256,
            active_from=active_from,
            uri=uri,
        )

    def to_json(self) -> dict[str, object]:
        """Return it for people and machines."""
        return {
            "algorithm": self.algorithm,
            "algorithm_id": algorithm_id(self.algorithm).hex(),
            "wheel": self.wheel.name,
            "wheel_sha256": self.wheel_sha256.hex(),
            "source_sha256": self.source_sha256.hex(),
            "environment_sha256": self.environment_sha256.hex(),
            "changed": list(self.changed),
        }


def prepare_release(
    out: Path, root: Path = ROOT, *, is_compared: bool = True
) -> PreparedRelease:
    """Build the optimizer's wheel, and again in different places, and hash all of it.

    Args:
        out: Folder for the wheel.
        root: The checkout.
        is_compared: Whether it is built in other places too; what is released for
            others must be, a demo's own need not.

    Raises:
        ArtifactError: This is no checkout, the build failed, or two builds differ.
    """
    source = root / "optimizer"
    try:
        text = (source / "outcome.py").read_text(encoding="utf-8")
        lock = (root / LOCK).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{root} is no checkout: {error.strerror}") from None
    named = _ALGORITHM.search(text)
    if named is None:
        raise ArtifactError("optimizer/outcome.py names no algorithm")
    wheel = build_wheel(WHEEL, out, root)
    built = wheel_sha256(wheel)
    if is_compared and build_apart(WHEEL, root) != built:
        raise ArtifactError(f"{WHEEL}: another wheel comes out elsewhere")
    return PreparedRelease(
        algorithm=named[1],
        wheel=wheel,
        wheel_sha256=built,
        source_sha256=source_sha256(source),
        environment_sha256=hashlib.sha256(lock).digest(),
        changed=_changed(root),
    )


def is_published(prepared: PreparedRelease, found: PublishedAlgorithm | None) -> bool:
    """Tell whether the registry has this release already.

    Raises:
        ArtifactError: It has another wheel under this name: what was released never
            changes, and a changed optimizer needs a new number.
    """
    if found is None:
        return False
    if found.wheel_sha256 != prepared.wheel_sha256:
        raise ArtifactError(
            f"{prepared.algorithm} is published with the wheel"
            f" {found.wheel_sha256.hex()}, built was {prepared.wheel_sha256.hex()}:"
            " what is published never changes, raise ALGORITHM in optimizer/outcome.py"
        )
    return True


def differences(prepared: PreparedRelease, found: PublishedAlgorithm) -> Sequence[str]:
    """Name what else the published release has other than the prepared one."""
    pairs = (
        ("source", found.source_sha256, prepared.source_sha256),
        ("environment", found.environment_sha256, prepared.environment_sha256),
    )
    return [name for name, published, built in pairs if published != built]


def _changed(root: Path) -> tuple[str, ...]:
    """Return the files of the release that differ from the commit."""
    if not (root / ".git").exists():
        return ()
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            ["git", "-C", str(root), "status", "--porcelain", "--", *_TREE],  # noqa: S607  # the git of whoever releases
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(line[3:] for line in done.stdout.splitlines())
