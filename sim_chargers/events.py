"""What the simulator tells its parent: one JSON object per line on stdout."""

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True, kw_only=True)
class Events:
    """Writes JSON lines and keeps the counts of the final summary."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)
    counts: Counter[str] = field(default_factory=Counter)
    energy_milliwh: int = 0

    def emit(self, event: str, **members: object) -> None:
        """Write one line at once, so that the parent need not wait for a buffer."""
        self.counts[event] += 1
        line = json.dumps({"event": event, **members}, separators=(",", ":"))
        self.stream.write(line + "\n")
        self.stream.flush()

    def session_ended(self, *, start_milliwh: int, stop_milliwh: int) -> None:
        """Add an acknowledged session to the summary."""
        self.energy_milliwh += stop_milliwh - start_milliwh
