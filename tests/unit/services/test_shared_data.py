"""Tests with public records skip where they are absent, except on a build machine."""

from pathlib import Path

import pytest

from tests.support.shared_data import ocmf_folder


def test_an_absent_folder_skips_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTPROOF_SHARED", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="beside the project"):
        ocmf_folder()


def test_an_absent_folder_is_an_error_on_a_build_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTPROOF_SHARED", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="beside the project"):
        ocmf_folder()


def test_a_folder_that_is_there_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTPROOF_SHARED", str(tmp_path))
    folder = tmp_path / "data" / "ocmf"
    folder.mkdir(parents=True)
    assert ocmf_folder() == folder
