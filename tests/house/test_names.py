"""Names and words: a name is the noun of what it holds, a docstring begins with it."""

import ast
import re

from paths import ROOT

VAGUE = {"told", "asked", "found", "own", "most", "place", "telling", "fate"}
"""First words of a name that say how its value came to be, or nothing at all."""
ALLOWED = {
    "own_data": "the feature: the dialog for own data, and its option",
    "own_upload": "a question of the page by its name; so are the next five",
    "own_look": "",
    "own_look_items": "",
    "own_train": "",
    "own_poll": "",
    "own_cancel": "",
}
WEIGHTS = {"mindrec/model/filtered_encoder.py": {"asked", "place_embedding"}}
"""Names of weights in checkpoints, which keep them."""


def python_files():
    return sorted(path for top in ("app", "mindrec") for path in (ROOT / top).rglob("*.py"))


def vague(name: str) -> bool:
    return name.strip("_").lower().split("_")[0] in VAGUE


def names(tree: ast.AST) -> set[str]:
    """All that a module defines: variables, arguments, attributes, functions and classes."""
    out = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            out.add(node.name)
        elif isinstance(node, ast.arg):
            out.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            out.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            out.add(node.attr)
    return out


def words(tree: ast.AST) -> list[str]:
    """Docstrings, also those under a constant or an attribute."""
    return [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


def test_a_name_says_what_it_holds():
    vague_names, vague_words = {}, {}
    for path in python_files():
        tree, file = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).as_posix()
        vague_names[file] = set(filter(vague, names(tree))) - ALLOWED.keys() - WEIGHTS.get(file, set())
        vague_words[file] = [text for text in words(tree) if text.startswith("What ")]
    assert not {file: bad for file, bad in vague_names.items() if bad}
    assert not {file: bad for file, bad in vague_words.items() if bad}


def test_a_name_of_a_script_says_what_it_holds():
    scripts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "app" / "page" / "js").glob("*.js")}
    given = re.compile(r"\bfunction (\w+)|(?<![.\w])(\w+) =(?!=)")
    declared = {file: {a or b for a, b in given.findall(script)} for file, script in scripts.items()}
    assert len(scripts) > 40
    assert not {file: bad for file, names in declared.items() if (bad := set(filter(vague, names)))}
    assert not {file for file, script in scripts.items() if re.search(r"^\s*(?://|/?\*+) What ", script, re.M)}


def test_a_vague_name_is_seen():
    """Guards the checker."""
    tree = ast.parse('def f(asked, /, *, _most_first):\n    """What it does."""\n    self.place_N = found = 1\n')
    assert {name for name in names(tree) if vague(name)} == {"asked", "_most_first", "place_N", "found"}
    assert words(tree) == ["What it does."]
