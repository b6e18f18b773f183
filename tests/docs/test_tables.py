"""What the documentation says of settings is what the code does."""

import dataclasses
import tomllib

import pytest

from gateway.config import load
from tests.docs import settings, tables
from tests.docs.pages import ROOT, Written


@pytest.mark.parametrize("part", tables.WRITTEN, ids=lambda part: str(part.name))
def test_the_documentation_has_the_table_as_it_is(part: Written) -> None:
    assert part.documented() == part.make(), (
        "python -m tests.docs.tables writes it anew"
    )


@pytest.mark.parametrize(("name", "_about", "cls"), settings.TABLES)
def test_every_setting_has_its_effect_told(name: str, _about: str, cls: type) -> None:
    fields = {field.name for field in dataclasses.fields(cls)}
    assert settings.attributes(cls).keys() == fields, name


def test_every_table_of_the_file_is_documented() -> None:
    named = {name.strip("[]").partition(".")[0] for name, _, _ in settings.TABLES}
    assert named | {"tariff"} == set(load._TABLES)


@pytest.mark.parametrize(("name", "_about", "cls"), settings.TABLES)
def test_the_example_file_shows_every_setting(
    name: str, _about: str, cls: type
) -> None:
    if name == "[[ocpp.tls.certificates]]":
        return  # shown in the line above it
    text = (ROOT / "config.toml").read_text("utf-8")
    heads = [
        line.removeprefix("# ").split("#")[0].strip() for line in text.splitlines()
    ]
    first = heads.index(name)
    last = next(
        (at for at in range(first + 1, len(heads)) if heads[at].startswith("[")),
        len(heads),
    )
    shown = {line.partition("=")[0].strip() for line in heads[first:last]}
    fields = {f.name for f in dataclasses.fields(cls)}
    nested = {"tls", "evse", "modbus", "mqtt", "register", "setpoint"}
    assert fields - shown - nested == set()


def test_the_example_file_can_be_read_with_every_example_in_it() -> None:
    tomllib.loads((ROOT / "config.toml").read_text("utf-8"))
