"""The page's scripts: how modules are joined, and the rules that every file keeps."""

import re

import pytest

from app.page import assets
from app.page.modules import join_modules
from mindrec.errors import MindRecError

SCRIPTS = sorted((assets.FOLDER / "js").glob("*.js"))


def write(folder, **modules):
    for name, code in modules.items():
        (folder / f"{name}.js").write_text(code)
    return folder


def test_a_module_comes_after_those_that_it_imports(tmp_path):
    folder = write(
        tmp_path,
        main='export { run } from "./b.js";\n',
        b='import { one } from "./a.js";\n\nexport function run() {\n  return one;\n}\n',
        a="export const one = 1;\nconst hidden = 2;\n",
    )
    script = join_modules(folder, "main")
    assert script.index("const one = 1;") < script.index("const { one } = $a;") < script.index("function run()")
    assert script.startswith("const { run } = (")
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"main": 'import { x } from "./a.js";\n', "a": 'import { y } from "./main.js";\n'}, "main -> a -> main"),
        ({"main": 'import { x } from "./main.js";\n'}, "main -> main"),
        ({"main": 'import { x, z } from "./a.js";\n', "a": "export const x = 1;\nconst z = 2;\n"}, "'z'"),
        ({"main": 'import { x } from "./a.js";\n'}, "no module a.js"),
        ({"main": 'import x from "./a.js";\n', "a": "export const x = 1;\n"}, "not understood"),
        ({"main": 'import * as x from "./a.js";\n', "a": "export const x = 1;\n"}, "not understood"),
        ({"main": 'import { x as y } from "./a.js";\n', "a": "export const x = 1;\n"}, "'x as y'"),
        ({"main": "export default 1;\n"}, "not understood"),
        ({"main": "export let x = 1;\n"}, "not understood"),
    ],
)
def test_what_cannot_be_joined_is_an_error(tmp_path, modules, words):
    with pytest.raises(MindRecError, match=re.escape(words)):
        join_modules(write(tmp_path, **modules), "main")


def test_the_page_declares_two_names_and_uses_every_module():
    script = assets.script()
    declared = re.findall(r"^(?:const|let|var|(?:async )?function|class)\b ?(.*?) ?(?:=|\()", script, re.MULTILINE)
    assert declared[0] == "{ mountPage, mount }"
    joined = set(re.findall(r"^const \$(\w+) = \(\(\) => \{$", script, re.MULTILINE))
    # Types are comments alone, and a class room's phone has a page of its own.
    assert joined == {file.stem for file in SCRIPTS} - {"types", "phone"}


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_every_script_is_checked_by_types(file):
    assert file.read_text(encoding="utf-8").startswith("// @ts-check\n")


@pytest.mark.parametrize("file", [*SCRIPTS, *sorted((assets.FOLDER / "css").glob("*.css"))], ids=lambda file: file.name)
def test_lines_fit_and_hold_one_rule(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert not [(n, line) for n, line in enumerate(lines, 1) if len(line) > 120]
    if file.suffix == ".css":
        assert not [(n, line) for n, line in enumerate(lines, 1) if line.count("{") > 1 or re.search(r"\{.*;", line)]


def test_only_one_script_knows_the_inside_of_plotly():
    inside = re.compile(r"_fullLayout|__data__|\._offset|\._length|scatterlayer|window\.Plotly")
    assert [file.name for file in SCRIPTS if inside.search(file.read_text(encoding="utf-8"))] == ["plotly_internals.js"]
