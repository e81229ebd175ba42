"""A setting declared once shows up everywhere: checks, menu, documentation, help."""

from dataclasses import dataclass

import pytest

from mindrec.errors import MindRecError
from mindrec.system.settings import (
    Choice,
    Number,
    Switch,
    Whole,
    clean_settings,
    declare,
    declared,
    links,
    menu,
    rules,
    summary,
    table,
)


@dataclass(frozen=True)
class Oven:
    """A toy: `grill` needs the fan off."""

    degrees: int = declare(180, Whole(label="Heat", help="Degrees inside.", low=50, high=300, slider=250))
    fan: str = declare("on", Choice(label="Fan", help="Moves the air.", choices={"on": "turning", "off": "still"}))
    grill: float = declare(0, Number(label="Grill", help="From above.", low=0, high=9, slider=5, needs={"fan": "off"}))
    light: bool = declare(True, Switch(help="For those who look."))

    def __post_init__(self):
        clean_settings(self)


@dataclass(frozen=True)
class Larger(Oven):
    """The same with one field more, which is declared here alone."""

    program: str = declare(
        "bread", Choice(label="Program", help="Of the timer.", choices={"bread": "Bread", "pie": "Pie"})
    )


def test_one_new_field_is_on_the_menu_in_the_table_and_in_the_help():
    before, after = menu(Oven), menu(Larger)
    assert after[: len(before)] == before
    choices = [["bread", "Bread"], ["pie", "Pie"]]
    new = {"key": "program", "name": "Program", "help": "Of the timer.", "basic": False}
    assert after[len(before) :] == [new | {"kind": "choice", "choices": choices}]
    added = table(Larger).replace(table(Oven), "")
    assert added == "| `program` | `bread` | `bread, pie` | Of the timer. | yes |\n"
    assert summary(Larger) == summary(Oven) + "; program=bread, pie"
    assert list(declared(Larger)) == [*declared(Oven), "program"]


def test_one_new_field_is_checked():
    assert Larger(program="pie").program == "pie"
    with pytest.raises(MindRecError, match="program='soup' is not one of bread, pie"):
        Larger(program="soup")


def test_a_setting_without_a_label_is_not_on_the_menu():
    assert "light" not in [control["key"] for control in menu(Oven)]
    assert "| `light` | `true` | `true, false` | For those who look. | no |" in table(Oven)


def test_a_setting_that_needs_another_is_refused_without_it():
    assert rules(Oven) == {"grill": {"off": 0, "needs": {"fan": "off"}, "with": []}}
    assert Oven(grill=2, fan="off").grill == 2
    assert Oven(grill=0, fan="on").grill == 0
    with pytest.raises(MindRecError, match="grill=2 needs fan='off', not 'on'"):
        Oven(grill=2)


@dataclass(frozen=True)
class Fridge:
    """A toy: two ways to cool that exclude each other, a hum that means nothing without either, and an off switch."""

    ice: int = declare(0, Whole(help="Cubes.", low=0, high=9, excludes=("frost",)))
    frost: int = declare(0, Whole(help="Degrees.", low=0, high=9, excludes=("ice",)))
    hum: str = declare(
        "low",
        Choice(help="Of the motor.", choices={"low": "low", "loud": "loud"}, used_with={"ice": None, "frost": 9}),
    )
    power: str = declare("on", Choice(help="At the wall.", choices={"on": "on", "off": "off"}, alone={"off": ("ice",)}))

    def __post_init__(self):
        clean_settings(self)


def test_settings_that_exclude_each_other_are_refused_together_and_turned_off_by_the_menu():
    assert Fridge(ice=2, hum="loud").ice == 2
    assert Fridge(hum="loud").hum == "loud", "what means nothing is allowed"
    with pytest.raises(MindRecError, match="ice=2 and frost=3 exclude each other"):
        Fridge(ice=2, frost=3)
    powered = {"power": {"not": "off"}}
    assert rules(Fridge) == {
        "ice": {"off": 0, "needs": {"frost": 0}, "with": []},
        "frost": {"off": 0, "needs": {"ice": 0}, "with": [powered]},
        "hum": {"off": "low", "needs": {}, "with": [{"ice": {"not": 0}, "frost": {"is": 9}}, powered]},
    }


def test_each_kind_of_setting_has_its_form_in_links():
    kinds = {"degrees": "number", "fan": "text", "grill": "number", "light": "boolean", "program": "text"}
    assert links(Larger) == kinds


@pytest.mark.parametrize("bad", [{"degrees": 49}, {"degrees": True}, {"degrees": 60.0}, {"degrees": None}, {"fan": []}])
def test_values_out_of_range_are_refused_by_name(bad):
    (name,) = bad
    with pytest.raises(MindRecError, match=f"{name}="):
        Oven(**bad)


def test_names_that_code_registers_join_the_menu():
    fan = next(control for control in menu(Oven, {"fan": {"on": "on", "storm": "storm"}}) if control["key"] == "fan")
    assert fan["choices"] == [["on", "turning"], ["off", "still"], ["storm", "storm"]]
