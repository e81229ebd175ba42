"""Nothing that somebody else wrote is destroyed, by any command, and what is replaced is replaced whole."""

import errno
import os
import shutil
import subprocess
import sys
from typing import get_type_hints

import pytest
import typer
from commands import refused
from paths import ROOT

from mindrec.checkpoint import load_checkpoint
from mindrec.cli import main as cli
from mindrec.data.catalog import load_prepared, save_prepared
from mindrec.errors import MindRecError
from mindrec.stories import write_stories
from mindrec.system import files
from mindrec.system.files import FolderKind, atomic_path, check_replaceable, replace_folder, write_json

KIND = FolderKind("a test's folder", ("mark",), ("more-*",))
FOLDERS = {
    "train": ("train", "--preset", "tiny", "--epochs", 1, "--device", "cpu", "--data", "DATA", "--out"),
    "train --resume": ("train", "--resume", "--preset", "tiny", "--device", "cpu", "--data", "DATA", "--out"),
    "train-llada": ("train-llada", "--preset", "tiny", "--device", "cpu", "--data", "DATA", "--out"),
    "add-items": ("add-items", "--checkpoint", "nowhere", "--items", "nowhere", "--out"),
    "stories": ("stories", "--checkpoint", "nowhere", "--data", "nowhere", "--out"),
    "refit": ("refit", "--checkpoint", "CHECKPOINT", "--data", "DATA", "--out"),
    "arena": ("arena", "--data", "nowhere", "--out"),
    "prepare": ("prepare", "synthetic", "--out"),
    "import-llada": ("import-llada", "nowhere", "--out"),
    "import-masked-lm": ("import-masked-lm", "nowhere", "--out"),
}
"""Commands that write a folder, up to the option that takes it."""
TABLES = {
    "diagnose": ("diagnose", "--checkpoint", "nowhere", "--data", "DATA", "--out"),
    "report": ("report", "--checkpoint", "nowhere", "--data", "DATA", "--out"),
    "recommend-many": ("recommend-many", "--checkpoint", "nowhere", "--histories", "nowhere", "--out"),
}
"""Commands that write a table, up to the option that takes it."""
WITHIN = ("count-popularity", "choose-guidance", "draw-map")
"""Commands that change the checkpoint that they are given."""
ONE_FILE = ("--json", "--trace", "--graph")
READ = ("--base", "--checkpoint", "--data", "--dense-from", "--histories", "--items", "--left", "--right", "--sweep")
READ += ("--text-model", "--twin", "--from", "files")
"""Options that take a path and write nothing."""


def walk(command, words=()):
    """Each command of the command line, with its words."""
    if not hasattr(command, "commands"):
        yield words, command
    for name, part in getattr(command, "commands", {}).items():
        yield from walk(part, (*words, name))


def takers_of_paths() -> list[tuple[tuple[str, ...], str]]:
    """(words of a command, its option) for every option that is annotated as a path."""
    return [
        (words, option.opts[0])
        for words, command in walk(typer.main.get_command(cli.app))
        for option in command.params
        if "Path" in str(get_type_hints(command.callback).get(option.name))
    ]


FILES = {" ".join((*words, option)): (*words, option) for words, option in takers_of_paths() if option in ONE_FILE}
FILES |= TABLES | {"compare-cases --json": ("compare-cases", "one", "other", "--json")}


def test_every_option_that_takes_a_path_is_known_to_write_or_to_read():
    """A new one has to be put into a list of this file, and what writes is tried below."""
    takers = takers_of_paths()
    assert len(takers) > 60
    assert {option for _, option in takers} == {*READ, *ONE_FILE, "--out"}
    assert {words[0] for words, option in takers if option == "--out"} == {w[0] for w in (FOLDERS | TABLES).values()}
    written = {
        words[0]
        for words, command in walk(typer.main.get_command(cli.app))
        if any(".json is written" in str(option.help) for option in command.params if option.name == "checkpoint")
    }
    assert written == set(WITHIN)


@pytest.fixture(scope="module")
def data(chain_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("writing") / "data"
    save_prepared(chain_data, folder)
    return folder


@pytest.fixture
def thesis(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    return folder / "thesis.txt"


def unharmed(thesis) -> bool:
    """The file is there, alone, and nothing lies beside its folder."""
    return (
        thesis.read_text() == "years of work"
        and os.listdir(thesis.parent) == ["thesis.txt"]
        and os.listdir(thesis.parent.parent) == ["out"]
    )


@pytest.mark.parametrize("command", FOLDERS)
def test_no_command_replaces_a_folder_of_somebody_else(command, data, checkpoint, thesis):
    """Refused before anything else is looked at: most of the sources and checkpoints named here do not exist."""
    given = {"DATA": data, "CHECKPOINT": checkpoint}
    line = refused(*(given.get(word, word) for word in FOLDERS[command]), thesis.parent)
    assert str(thesis.parent) in line
    assert "thesis.txt" in line
    assert unharmed(thesis)


@pytest.mark.parametrize("command", WITHIN)
def test_no_command_changes_a_folder_that_is_no_checkpoint(command, data, thesis):
    more = () if command == "draw-map" else ("--data", data)
    assert str(thesis.parent) in refused(command, "--checkpoint", thesis.parent, *more)
    assert unharmed(thesis)


@pytest.mark.parametrize("command", FILES)
@pytest.mark.parametrize("what", ["a folder", "a text"])
def test_no_command_replaces_a_file_of_somebody_else(command, what, data, thesis):
    words = [data if word == "DATA" else word for word in FILES[command]]
    place = thesis.parent if what == "a folder" else thesis
    assert str(place) in refused(*words, place)
    assert unharmed(thesis)


def test_no_call_replaces_a_folder_of_somebody_else(recommender, chain_data, thesis):
    for write in (
        recommender.save_pretrained,
        lambda out: save_prepared(chain_data, out),
        lambda out: write_stories(recommender, [], [], out),
        lambda out: write_json(out, {}),
    ):
        with pytest.raises(MindRecError):
            write(thesis.parent)
        assert unharmed(thesis)


def test_a_checkpoint_beside_which_a_person_keeps_notes_is_not_replaced(checkpoint, recommender, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    recommender.save_pretrained(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(MindRecError, match=r"notes\.txt"):
        recommender.save_pretrained(folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_what_may_be_replaced(tmp_path):
    check_replaceable(tmp_path / "nothing", KIND)
    (tmp_path / ".DS_Store").touch()
    check_replaceable(tmp_path, KIND)
    (tmp_path / "more-1").touch()
    with pytest.raises(MindRecError, match="more-1"):  # the mark is what shows the kind
        check_replaceable(tmp_path, KIND)
    (tmp_path / "mark").touch()
    check_replaceable(tmp_path, KIND)
    with pytest.raises(MindRecError, match="no folder"):
        check_replaceable(tmp_path / "mark", KIND)


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "mark").write_text("old")
    return folder


def write_new(folder):
    with replace_folder(folder, KIND) as made:
        (made / "mark").write_text("new")


class Library:
    """The C library of a system, or of a drive, without an exchange of two names."""

    def renameat2(self, *arguments):
        return -1


LIBRARIES = {"not there": object(), "not of this drive": Library()}


def take_exchange_away(monkeypatch, why: str) -> None:
    monkeypatch.setattr(files.ctypes, "CDLL", lambda *_, **__: LIBRARIES[why])
    monkeypatch.setattr(files.ctypes, "get_errno", lambda: errno.EINVAL)


@pytest.mark.parametrize("why", [None, *LIBRARIES])
def test_a_folder_is_replaced_with_and_without_an_exchange(why, old, monkeypatch):
    if why:
        take_exchange_away(monkeypatch, why)
    write_new(old)
    assert (old / "mark").read_text() == "new"
    assert os.listdir(old.parent) == ["made"]


def test_the_old_folder_is_put_back_where_the_swap_fails(old, monkeypatch):
    real = os.rename

    def rename(source, target):
        if str(target) == str(old) and not str(source).endswith("was"):
            raise OSError(28, "No space left on device")
        real(source, target)

    take_exchange_away(monkeypatch, "not there")
    monkeypatch.setattr(files.os, "rename", rename)
    with pytest.raises(OSError, match="No space"):
        write_new(old)
    assert (old / "mark").read_text() == "old"
    assert os.listdir(old.parent) == ["made"]


KILLED = """
import os, signal, sys
from mindrec.system import files

def rename(source, target, real=os.rename):
    real(source, target)
    os.kill(os.getpid(), signal.SIGKILL)

files.ctypes.CDLL = lambda *_, **__: object()
files.os.rename = rename
with files.replace_folder(sys.argv[1], files.FolderKind("a test's folder", ("mark",))) as made:
    (made / "mark").write_text("new")
"""


@pytest.mark.parametrize("then", ["nothing", "written"])
def test_a_kill_between_two_steps_is_undone_by_the_next_command(then, old, capsys):
    subprocess.run([sys.executable, "-c", KILLED, old], cwd=ROOT, check=False, timeout=300)
    assert not old.exists()
    check_replaceable(old, KIND)
    assert (old / "mark").read_text() == "old"
    assert str(old) in capsys.readouterr().err
    if then == "written":
        write_new(old)
        assert (old / "mark").read_text() == "new"
    assert not list(old.parent.glob(".made.old.*"))


def test_whatever_is_read_is_put_back_first(checkpoint, data, tmp_path):
    for source, read in ((checkpoint, load_checkpoint), (data, load_prepared)):
        folder = tmp_path / source.name
        shutil.copytree(source, tmp_path / f".{folder.name}.old.x" / "was")
        read(folder)
        assert folder.exists()


def test_what_lies_aside_is_left_where_the_new_folder_is_there(old):
    (old.parent / ".made.old.x").mkdir()
    shutil.copytree(old, old.parent / ".made.old.x" / "was")
    write_new(old)
    assert (old / "mark").read_text() == "new"
    assert (old.parent / ".made.old.x" / "was" / "mark").read_text() == "old"


def test_one_system_call_replaces_a_folder(old, monkeypatch):
    """Whoever kills the process finds the old folder before that call, the new one after it, and nothing between."""
    if not hasattr(files.ctypes.CDLL(None), "renameat2"):
        pytest.skip("this system cannot exchange two folders")

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "rename", killed)
    monkeypatch.setattr(files.os, "replace", killed)
    monkeypatch.setattr(files.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        write_new(old)
    assert (old / "mark").read_text() == "new"


def test_a_folder_that_another_wrote_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(MindRecError, match=r"thesis\.txt"), replace_folder(tmp_path / "out", KIND):  # noqa: PT012
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("years of work")
    assert (tmp_path / "out" / "thesis.txt").exists()


def test_a_link_to_a_folder_stays_a_link(old, tmp_path):
    (tmp_path / "link").symlink_to(old)
    write_new(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (old / "mark").read_text() == "new"


def test_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with atomic_path("~/result") as temporary:
        temporary.write_text("here")
    assert (tmp_path / "result").read_text() == "here"
    write_new("~/made")
    assert (tmp_path / "made" / "mark").exists()
