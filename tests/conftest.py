"""What holds for every test: how hard properties are searched.

``HYPOTHESIS_PROFILE=nightly`` searches 50 times longer, ``fuzz`` (`make fuzz`) 200
times. On a build machine (``CI=true``) the search is the same every time, so that a
change is judged by its own merits; developers' machines keep looking for new examples.
"""

import os

from hypothesis import HealthCheck, settings

SLOW_MACHINES = (HealthCheck.too_slow,)

settings.register_profile("default", deadline=None, suppress_health_check=SLOW_MACHINES)
settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=SLOW_MACHINES
)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=5000,
    suppress_health_check=SLOW_MACHINES,
)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=20_000,
    suppress_health_check=SLOW_MACHINES,
    print_blob=True,
)
settings.load_profile(
    os.environ.get(
        "HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") == "true" else "default"
    )
)
