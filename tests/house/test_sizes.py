"""Functions and modules are short, and public names are documented."""

import ast
from pathlib import Path

import pytest
from paths import ROOT

FUNCTION_LINES, MODULE_LINES, DOCUMENTED = 50, 400, 0.95


def modules() -> list[Path]:
    return sorted(path for top in ("app", "mindrec") for path in (ROOT / top).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_of(function: ast.FunctionDef, path: Path) -> int:
    """Length of a function. Named exception: in mindrec/cli the parameters are the options, and do not count."""
    options = "mindrec/cli/" in path.as_posix()
    return function.end_lineno - (function.body[0].lineno if options else function.lineno) + 1


def long_functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {f"{name_of(path)}:{node.name}" for node in functions if lines_of(node, path) > FUNCTION_LINES}


def public(node: ast.AST, prefix: str) -> dict[str, bool]:
    """Whether each public class, function and method of a module or class is documented, by its dotted name."""
    out = {}
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            out[f"{prefix}{child.name}"] = ast.get_docstring(child) is not None
            if isinstance(child, ast.ClassDef):
                out |= public(child, f"{prefix}{child.name}.")
    return out


def test_functions_are_short():
    assert not set().union(*map(long_functions, modules()))


def test_modules_are_short():
    long = {name_of(p) for p in modules() if len(p.read_text(encoding="utf-8").splitlines()) > MODULE_LINES}
    assert not long


def test_public_names_are_documented():
    documented = {}
    for path in modules():
        documented |= public(ast.parse(path.read_text(encoding="utf-8")), f"{name_of(path)}:")
    missing = [name for name, there in documented.items() if not there]
    assert len(missing) <= (1 - DOCUMENTED) * len(documented), missing


@pytest.mark.parametrize(("folder", "long"), [("mindrec/decoding", True), ("mindrec/cli", False)])
def test_only_the_options_of_a_command_do_not_count(folder, long):
    """Guards the checker: the same function is too long in one room and short in the room of the options."""
    text = "def f(\n" + "    a,\n" * FUNCTION_LINES + "):\n    return 1\n"
    assert (lines_of(ast.parse(text).body[0], ROOT / folder / "x.py") > FUNCTION_LINES) == long
