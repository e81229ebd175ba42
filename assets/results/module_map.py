"""The table of a folder's modules for its README: each with the first sentence of its own docstring or comment."""

import ast
import re
from pathlib import Path


def module_map(folder: Path) -> list[str]:
    """Markdown rows of the Python modules in `folder`, then those of the scripts in its folder js, if it has one."""
    modules = [(path.name, path) for path in sorted(folder.glob("*.py")) if not path.stem.startswith("__")]
    modules += [(f"js/{path.name}", path) for path in sorted((folder / "js").glob("*.js"))]
    rows = [f"| [{name}]({name}) | {first_sentence(path)} |" for name, path in modules]
    return ["| module | holds |", "| --- | --- |", *rows]


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring, or of the comment at the head of a script."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        lines = re.match(r"(?:// @ts-check\n)?((?:// .*\n)+)", text).group(1).splitlines()
        text = " ".join(line.removeprefix("// ") for line in lines)
    else:
        text = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[.!?])\s+(?=[A-Z\"])", text)[0].replace("|", "\\|").replace("*", "\\*")
