"""Settings declared once: a field of a dataclass carries its range, its words and who may see it.

Checks, the command line's help, the app's menu and the table of the documentation are all read from the declaration.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mindrec.errors import MindRecError


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The declaration of one setting.

    Attributes:
        help: its meaning, in one sentence.
        label: its short name on the app's menu; a setting without one is for code, command line and links alone.
        needs: values that other settings must have wherever this one differs from its default.
        excludes: settings that must be at their defaults wherever this one is not.
        used_with: settings of which one must have the value that is named here, or any but its default for None;
            without that this one is allowed and means nothing.
        alone: values of this one beside which only the settings named here mean anything.
        basic: whether a menu shows it at once, or among its advanced settings.
    """

    help: str
    label: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    excludes: tuple[str, ...] = ()
    used_with: Mapping[str, Any] = field(default_factory=dict)
    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    basic: bool = False

    @property
    def allowed(self) -> str:
        """The values that are allowed, in a few words."""
        raise NotImplementedError

    @property
    def link_type(self) -> str:
        """How a link of the page writes the value: a name of TYPES in app/page/js/links.js."""
        raise NotImplementedError

    def clean(self, name: str, value):
        """The value in the form in which it is kept. Raises MindRecError for one that is not allowed."""
        raise NotImplementedError

    def control(self) -> dict:
        """Kind and range of its control on a menu."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Choice(Setting):
    """One of a few names, each with its words. Code may register more names of a `registry`, named by its entries."""

    choices: Mapping[str, str]
    registry: str = ""

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return ", ".join(self.choices)

    @property
    def link_type(self) -> str:
        """See `Setting.link_type`."""
        return "text"

    def clean(self, name: str, value) -> str:
        """See `Setting.clean`."""
        if self.registry:
            if not isinstance(value, str):
                raise MindRecError(f"{name}={value!r} is not the name of {self.registry}, such as {self.allowed}")
        elif not isinstance(value, str) or value not in self.choices:
            raise MindRecError(f"{name}={value!r} is not one of {self.allowed}")
        return value

    def control(self) -> dict:
        """See `Setting.control`."""
        return {"kind": "choice", "choices": [[value, words] for value, words in self.choices.items()]}


@dataclass(frozen=True, kw_only=True)
class Whole(Setting):
    """A whole number; None too where it is `optional`. A slider ends at `slider`; without one the number is typed."""

    low: int
    high: int
    optional: bool = False
    slider: int | None = None
    step: int = 1

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return f"{self.low}..{self.high}" + (" or null" if self.optional else "")

    @property
    def link_type(self) -> str:
        """See `Setting.link_type`."""
        return "optional" if self.optional else "number"

    def clean(self, name: str, value) -> int | None:
        """See `Setting.clean`."""
        if self.optional and value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise MindRecError(f"{name}={value!r} is not a whole number in {self.low}..{self.high}")
        return value

    def control(self) -> dict:
        """See `Setting.control`."""
        if self.optional:
            return {"kind": "steps"}
        if self.slider is None:
            return {"kind": "number", "low": self.low, "high": self.high}
        return {"kind": "range", "low": self.low, "high": self.slider, "step": self.step}


@dataclass(frozen=True, kw_only=True)
class Number(Setting):
    """A number; a slider ends at `slider` and moves by `step`."""

    low: float
    high: float
    slider: float
    step: float = 0.1

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return f"{self.low:g}..{self.high:g}"

    @property
    def link_type(self) -> str:
        """See `Setting.link_type`."""
        return "number"

    def clean(self, name: str, value) -> float:
        """See `Setting.clean`."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            raise MindRecError(f"{name}={value!r} is outside {self.allowed}")
        return value

    def control(self) -> dict:
        """See `Setting.control`."""
        return {"kind": "range", "low": self.low, "high": self.slider, "step": self.step}


@dataclass(frozen=True, kw_only=True)
class Switch(Setting):
    """True or false."""

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return "true, false"

    @property
    def link_type(self) -> str:
        """See `Setting.link_type`."""
        return "boolean"

    def clean(self, name: str, value) -> bool:
        """See `Setting.clean`."""
        if not isinstance(value, bool):
            raise MindRecError(f"{name}={value!r} is not true or false")
        return value

    def control(self) -> dict:
        """See `Setting.control`."""
        return {"kind": "switch"}


@dataclass(frozen=True, kw_only=True)
class Tokens(Setting):
    """A list of (position, code) pairs, kept in order."""

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return "a list of (position, code) pairs"

    @property
    def link_type(self) -> str:
        """See `Setting.link_type`."""
        return "pairs"

    def clean(self, name: str, value) -> tuple[tuple[int, int], ...]:
        """See `Setting.clean`."""
        return tuple(sorted(self._pair(name, pair) for pair in _listed(name, value)))

    @staticmethod
    def _pair(name: str, value) -> tuple[int, int]:
        if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(type(v) is int and v >= 0 for v in value):
            raise MindRecError(f"{name} holds {value!r}; a (position, code) pair of whole numbers is needed")
        return value[0], value[1]


@dataclass(frozen=True, kw_only=True)
class Rows(Setting):
    """A list of item rows, kept in order."""

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return "a list of item rows"

    @property
    def link_type(self) -> str:
        """See `Setting.link_type`."""
        return "numbers"

    def clean(self, name: str, value) -> tuple[int, ...]:
        """See `Setting.clean`."""
        try:
            return tuple(sorted(operator.index(row) for row in _listed(name, value)))
        except TypeError as error:
            wrong = next(row for row in value if not hasattr(row, "__index__"))
            raise MindRecError(f"{name} holds {wrong!r}; item rows, whole numbers, are needed") from error


def _listed(name: str, value):
    if not isinstance(value, (list, tuple)):
        raise MindRecError(f"{name}={value!r} is not a list")
    return value


def declare(default, setting: Setting) -> Any:
    """A dataclass field with its default and its declaration."""
    return field(default=default, metadata={"setting": setting})


def declared(kind) -> dict[str, Setting]:
    """The declarations of a dataclass's fields, in their order."""
    return {f.name: f.metadata["setting"] for f in fields(kind) if "setting" in f.metadata}


def clean_settings(config) -> None:
    """Check a frozen dataclass against its declarations and bring each value into the form in which it is kept.

    Raises:
        MindRecError: a value that is not allowed, or one that needs another setting to differ.
    """
    defaults = {f.name: f.default for f in fields(config)}
    settings = declared(config)
    for name, setting in settings.items():
        object.__setattr__(config, name, setting.clean(name, getattr(config, name)))
    for name, setting in settings.items():
        value = getattr(config, name)
        for other, needed in setting.needs.items():
            if value != defaults[name] and getattr(config, other) != needed:
                raise MindRecError(f"{name}={value!r} needs {other}={needed!r}, not {getattr(config, other)!r}")
        for other in setting.excludes:
            if value != defaults[name] and getattr(config, other) != defaults[other]:
                raise MindRecError(
                    f"{name}={value!r} and {other}={getattr(config, other)!r} exclude each other; give one"
                )


def menu(kind, more: Mapping[str, Mapping[str, str]] | None = None) -> list[dict]:
    """The controls of a settings menu: key, name, help, basic, kind and range of each setting that has a label.

    Args:
        more: by setting, names that code registered beside the declared choices, with their words.
    """
    controls = []
    for key, setting in declared(kind).items():
        if not setting.label:
            continue
        about = {"key": key, "name": setting.label, "help": setting.help, "basic": setting.basic}
        control = about | setting.control()
        for value, words in (more or {}).get(key, {}).items():
            if value not in setting.choices:
                control["choices"].append([value, words])
        controls.append(control)
    return controls


def rules(kind) -> dict[str, dict]:
    """For each setting that asks something of others: the value that asks nothing (`off`), and what any other asks.

    `needs` holds `needs` and `excludes` in one. `with` is a list: of each entry, settings with a value that they must
    have (`is`) or not have (`not`), one must hold for the setting to mean anything.
    """
    defaults = {f.name: f.default for f in fields(kind)}
    settings = declared(kind)
    out = {}
    for key, setting in settings.items():
        needs = dict(setting.needs) | {other: defaults[other] for other in setting.excludes}
        used = [
            {
                other: {"not": defaults[other]} if value is None else {"is": value}
                for other, value in setting.used_with.items()
            }
        ]
        for other, about in settings.items():
            for value, named in about.alone.items():
                if key not in (other, *named):
                    used.append({other: {"not": value}})
        used = [each for each in used if each]
        if needs or used:
            out[key] = {"off": defaults[key], "needs": needs, "with": used}
    return out


def links(kind) -> dict[str, str]:
    """For each setting, how a link writes its value."""
    return {key: setting.link_type for key, setting in declared(kind).items()}


def summary(kind) -> str:
    """All settings with the values that they allow, for the command line's help."""
    return "; ".join(f"{name}={setting.allowed}" for name, setting in declared(kind).items())


def table(kind) -> str:
    """A Markdown table of all settings: name, default, values, meaning and whether the app's menu has it."""
    lines = ["| setting | default | values | meaning | menu |", "| --- | --- | --- | --- | --- |"]
    for f in fields(kind):
        setting = f.metadata["setting"]
        default = "none" if f.default in (None, ()) else f"`{str(f.default).lower()}`"
        shown = "yes" if setting.label else "no"
        lines.append(f"| `{f.name}` | {default} | `{setting.allowed}` | {setting.help} | {shown} |")
    return "\n".join(lines) + "\n"
