"""ES modules joined into one script, for pages that cannot load files beside them: no bundler, no Node."""

import re
from pathlib import Path

from mindrec.errors import MindRecError

# The part of the grammar that the modules of this folder use. Prettier keeps each statement in these forms.
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
REEXPORT = re.compile(r'^export \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
DECLARED = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def join_modules(folder: Path, entry: str) -> str:
    """One statement that declares the exports of `entry` and no other name.

    Every module becomes a function that is called once, after those that it imports, so that its names stay its own.
    An unknown module, a name that its module does not export, a circular import, or a form of import or export that
    is not understood raises MindRecError.
    """
    order: list[str] = []
    exports: dict[str, list[str]] = {}
    bodies: dict[str, str] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " -> ".join((*above[above.index(name) :], name))
            raise MindRecError(f"modules import each other in a circle, {circle}: move the shared part to a third")
        if name in exports:
            return
        bodies[name], imported, exports_of = _parse(folder, name)
        for other, names in imported:
            visit(other, (*above, name))
            if missing := [each for each in names if each not in exports[other]]:
                raise MindRecError(f"{name}.js imports {missing[0]!r}, but {other}.js exports {exports[other]}")
        exports[name] = exports_of
        order.append(name)

    visit(entry, ())
    wrapped = [f"const ${name} = (() => {{\n{bodies[name]}return {_braced(exports[name])};\n}})();\n" for name in order]
    public = _braced(exports[entry])
    return f'const {public} = (() => {{\n"use strict";\n{"".join(wrapped)}return ${entry};\n}})();\n'


def _parse(folder: Path, name: str) -> tuple[str, list[tuple[str, list[str]]], list[str]]:
    """A module's body without import and export, what it imports as (module, names), and the names it exports."""
    path = folder / f"{name}.js"
    if not path.is_file():
        raise MindRecError(f"there is no module {name}.js: modules import files of their own folder")
    code = path.read_text(encoding="utf-8")
    imported, exported = [], DECLARED.findall(code)
    names_out = [declared for _, declared in exported]

    def taken(match: re.Match) -> str:
        names = [part.strip() for part in match[1].split(",") if part.strip()]
        imported.append((match[2], names))
        return f"const {_braced(names)} = ${match[2]};\n"

    for match in REEXPORT.finditer(code):
        names_out += [part.strip() for part in match[1].split(",") if part.strip()]
    code = DECLARED.sub(r"\1 \2", REEXPORT.sub(taken, IMPORT.sub(taken, code)))
    if strange := OTHER.search(code):
        raise MindRecError(f'{name}.js: {strange[0]!r} is not understood; write `import {{ name }} from "./file.js"`')
    return code, imported, names_out


def _braced(names: list[str]) -> str:
    return f"{{ {', '.join(names)} }}"
