"""Where public meter records lie that are not part of the project."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def ocmf_folder() -> Path:
    """The folder of public OCMF records, ``../shared`` or ``WATTPROOF_SHARED``.

    Skips the test where there is none, with the reason; on a build machine it must be
    there.
    """
    shared = Path(os.environ.get("WATTPROOF_SHARED", ROOT.parent / "shared"))
    folder = shared / "data" / "ocmf"
    if folder.is_dir():
        return folder
    if os.environ.get("CI") == "true":
        pytest.fail("no folder ../shared/data/ocmf beside the project")
    pytest.skip("no folder ../shared/data/ocmf beside the project")
