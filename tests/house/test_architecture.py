"""The direction of imports: read off the files, and off a fresh interpreter."""

import ast
import subprocess
import sys
import tomllib
from collections import Counter

import pytest
from paths import ROOT

HEAVY = ("torch", "transformers", "sklearn", "scipy", "pandas", "gradio", "plotly")


class _RunAlone(ast.NodeTransformer):
    """Leaves out imports that only a type checker sees."""

    def visit_If(self, node):
        return node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def imports(path, *, types: bool = True) -> set[str]:
    """Full dotted names that a file imports anywhere, also inside functions; `from a import b` gives a and a.b.

    `types` says whether imports under TYPE_CHECKING count.
    """
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree if types else _RunAlone().visit(tree)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).with_suffix("").parts
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def reaches(path, forbidden: tuple[str, ...]) -> list[str]:
    return sorted(name for name in imports(path) for bad in forbidden if name == bad or name.startswith(bad + "."))


# What a room never imports. A denoiser and the search know each other by the protocol in model/denoiser.py alone.
RULES = {
    "mindrec/checkpoint.py": ("mindrec.text_backbone", "mindrec.training", "mindrec.recommender", "mindrec.cli"),
    "mindrec": ("app", "gradio", "plotly"),
    "mindrec/system": ("mindrec.data", "mindrec.tokens", "mindrec.decoding", "mindrec.model", "mindrec.training"),
    "mindrec/data": (
        "mindrec.tokens",
        "mindrec.text",
        "mindrec.decoding",
        "mindrec.model",
        "mindrec.training",
        "torch",
    ),
    "mindrec/text": ("mindrec.tokens", "mindrec.decoding", "mindrec.model", "mindrec.training"),
    "mindrec/tokens": ("mindrec.decoding", "mindrec.model", "mindrec.training"),
    "mindrec/trace": ("torch", "mindrec.data", "mindrec.tokens", "mindrec.model", "mindrec.decoding.beam_search"),
    "mindrec/decoding": (
        "mindrec.data",
        "mindrec.sources",
        "mindrec.recommender",
        "mindrec.training",
        "mindrec.recording",
        "mindrec.text_backbone",
        "transformers",
        "mindrec.model.compact",
        "mindrec.model.oracle",
    ),
    "mindrec/recording": ("mindrec.data", "mindrec.training", "mindrec.recommender", "mindrec.text_backbone"),
    "mindrec/model": ("mindrec.decoding", "mindrec.training", "mindrec.text_backbone", "mindrec.data"),
    "mindrec/sources": ("mindrec.decoding", "mindrec.model", "mindrec.training", "torch"),
    "mindrec/evaluation": ("mindrec.training", "mindrec.diagnosis"),
    "mindrec/arena": ("mindrec.cli", "mindrec.diagnosis", "mindrec.jobs"),
    "app/views": ("torch", "gradio", "mindrec.decoding.beam_search"),
    "app/words": ("torch", "gradio", "mindrec.decoding.beam_search"),
    "app/page": ("torch", "mindrec.decoding.beam_search"),
}
ONE_WAY = {"mindrec": ("model", "decoding"), "app": ("server", "tabs")}
"""Houses whose rooms know each other in one direction; of each a lower and an upper room."""


@pytest.mark.parametrize("folder", RULES)
def test_folder_keeps_the_direction(folder):
    path = ROOT / folder
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    if folder.startswith("mindrec"):
        assert files, f"{folder} has no code: the rule checks nothing"
    broken = {str(f.relative_to(ROOT)): bad for f in files if (bad := reaches(f, RULES[folder]))}
    assert not broken


def room_of(path) -> str:
    """A folder of a house, or a module that stands beside the folders."""
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


def arrows(house: str) -> dict[str, set[str]]:
    """The rooms of a house that each room imports when it runs."""
    rooms = {room_of(path): set() for path in (ROOT / house).rglob("*.py")}
    for path in (ROOT / house).rglob("*.py"):
        for name in imports(path, types=False):
            parts = name.split(".")
            if parts[0] == house and len(parts) > 1 and parts[1] in rooms:
                rooms[room_of(path)].add(parts[1])
    return {room: others - {room} for room, others in rooms.items()}


def circle(arrows: dict[str, set[str]]) -> set[str]:
    """Rooms that reach themselves, and those above them; empty where imports run one way."""
    left = {room: set(others) for room, others in arrows.items()}
    while ground := {room for room, others in left.items() if not others & left.keys()}:
        left = {room: others for room, others in left.items() if room not in ground}
    return set(left)


@pytest.mark.parametrize("house", ONE_WAY)
def test_no_room_is_reached_by_going_back_up(house):
    assert circle(arrows(house)) == set()


@pytest.mark.parametrize(("house", "lower", "upper"), [(house, *rooms) for house, rooms in ONE_WAY.items()])
def test_a_circle_is_found(house, lower, upper):
    """Guards the checker, with the direction turned round in one place."""
    today = arrows(house)
    assert lower in today[upper]
    assert {lower, upper} <= circle(today | {lower: today[lower] | {upper}})


def test_only_ui_launch_and_page_import_gradio():
    allowed = {ROOT / "app" / "ui.py", ROOT / "app" / "launch.py"}
    for file in (ROOT / "app").rglob("*.py"):
        if file not in allowed and (ROOT / "app" / "page") not in file.parents:
            assert not reaches(file, ("gradio",)), file


def test_the_rules_catch_every_way_to_import(tmp_path, monkeypatch):
    """Guards the checker itself: a rule that finds nothing must not be one that cannot find."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "mindrec" / "decoding" / "x.py"
    file.parent.mkdir(parents=True)
    for text in (
        "import mindrec.data.catalog",
        "from mindrec.data import catalog",
        "from mindrec.data.catalog import Item",
        "from ..data import catalog",
        "from ..data.catalog import Item",
        "def f():\n    import mindrec.data.catalog as c",
    ):
        file.write_text(text)
        assert reaches(file, ("mindrec.data.catalog",)), text


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("mindrec", (*HEAVY, "numpy", "pydantic")),
        ("mindrec.errors", (*HEAVY, "numpy")),
        ("mindrec.trace.records", (*HEAVY, "numpy")),
        ("mindrec.trace.reading", (*HEAVY, "numpy")),
        ("mindrec.decoding.config", HEAVY),
        ("mindrec.data.catalog", HEAVY),
        ("mindrec.evaluation.metrics", HEAVY),
        ("mindrec.data.splits", HEAVY),
    ],
)
def test_light_modules_stay_light(module, heavy):
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lazy_names_are_all_there():
    import mindrec

    for name in mindrec.__all__:
        assert getattr(mindrec, name) is not None
    with pytest.raises(AttributeError, match="Recommender"):
        _ = mindrec.Recomender


def test_no_two_modules_have_one_name():
    """One name, one module: tracebacks and editor tabs show the last part alone."""
    stems = [p.stem for d in ("app", "mindrec") for p in (ROOT / d).rglob("*.py") if not p.stem.startswith("__")]
    assert sorted({s for s in stems if stems.count(s) > 1}) == []


def test_no_two_tests_have_one_name():
    """pytest imports a test file by its name alone: a second one of that name is not collected."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert not [name for name, count in names.items() if count > 1]


def test_the_installed_library_has_every_folder():
    listed = tomllib.loads((ROOT / "mindrec" / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "mindrec").rglob("__init__.py")}
    assert sorted(listed["packages"]) == sorted(".".join(folder.parts) for folder in folders)
