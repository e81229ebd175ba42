"""Progress without a terminal: whole lines, none where work is done soon."""

from mindrec.system import progress
from mindrec.system.progress import progress_bar


def test_lines_without_carriage_returns(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    assert list(progress_bar(range(3), desc="decode", unit=" batches")) == [0, 1, 2]
    with progress_bar(total=200, desc="recommend", unit=" people") as bar:
        bar.update(50)
    with progress_bar(desc="log.csv", unit=" lines") as bar:
        bar.update(10)
    said = capsys.readouterr().err
    assert "\r" not in said
    assert "\x1b" not in said
    lines = said.splitlines()
    assert any(line.startswith("decode: 3 of 3 (100 %)") for line in lines)
    assert any(line.startswith("recommend: 50 of 200 (25 %)") for line in lines)
    assert any(line.startswith("log.csv: 10 lines") for line in lines)
    assert all(line.strip() for line in lines)


def test_short_work_and_hidden_bars_say_nothing(capsys):
    list(progress_bar(range(100), desc="decode"))
    list(progress_bar(range(100), desc="decode", shown=False))
    assert capsys.readouterr().err == ""
