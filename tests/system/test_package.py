"""The library as a package of its own: what its wheel holds, and that it needs no file of this repository."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built offline from a copy, so that nothing is left beside the sources."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "mindrec", folder / "mindrec", ignore=shutil.ignore_patterns("__pycache__", "build"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*command, "-w", folder, folder / "mindrec"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_module_and_data_file(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    files = [p for p in (ROOT / "mindrec").rglob("*") if p.suffix in (".py", ".tsv", ".json") and p.is_file()]
    wanted = {p.relative_to(ROOT).as_posix() for p in files if "build" not in p.parts}
    assert wanted <= held, sorted(wanted - held)
    assert not [name for name in held if name.startswith(("app/", "tests/"))]


def test_it_needs_what_the_repository_pins_and_no_more():
    needs = tomllib.loads((ROOT / "mindrec" / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    for need in needs:
        name, rest = need.split(">=")
        assert need in lines or any(line == f"{name}=={rest.split(',')[0]}.0" for line in lines), need
    assert not [need for need in needs if need.startswith(("gradio", "plotly", "pytest"))]


def test_it_works_from_any_folder(wheel, checkpoint, tmp_path):
    """Unpacked elsewhere: import, open a checkpoint, recommend by title."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site'); import mindrec; assert 'site' in mindrec.__file__; "
        "import importlib.util; assert importlib.util.find_spec('app') is None; "
        f"r = mindrec.Recommender.from_pretrained({str(checkpoint)!r}, 'cpu'); "
        "a = r.recommend([i.title for i in r.catalog.items[:3]]); "
        "print(a.items[0].rank, mindrec.DecodeTrace.from_json(a.trace.to_json()) == a.trace)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "True"], done.stderr
