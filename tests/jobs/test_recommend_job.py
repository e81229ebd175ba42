"""Many users at once: the answers of one at a time, whoever works on them and whatever dies meanwhile."""

import json
import re
import subprocess
import threading
import time

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import ours, refused

from mindrec.diagnosis.cases import read_cases
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol
from mindrec.jobs import recommend_job as batch
from mindrec.jobs.history_file import id_list, open_histories
from mindrec.jobs.recommend_job import recommend_many


def written(path, rows, **options):
    users, ids = zip(*rows, strict=True)
    pq.write_table(pa.table({"user_id": users, "item_ids": ids}), path, **options)
    return path


@pytest.fixture(scope="module")
def histories(recommender, tmp_path_factory):
    """200 users in row groups of 30: of one item, of more than the model reads, with unknown ones, and of none."""
    ids = [item.item_id for item in recommender.catalog.items]
    rows = [(f"u{n}", [ids[(n * 7 + k) % len(ids)] for k in range(n % 14)]) for n in range(200)]
    rows[3] = ("u3", ["gone", ids[0], "gone too"])
    return written(tmp_path_factory.mktemp("many") / "histories.parquet", rows, row_group_size=30)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(batch, "CHUNK", 25)


def run(checkpoint, histories, out, **options):
    return recommend_many(checkpoint, histories, out, device="cpu", progress=False, **options)


def test_many_are_answered_as_one_by_one(checkpoint, recommender, histories, tmp_path, small_chunks):
    result = run(checkpoint, histories, tmp_path / "out.parquet", top=3)
    table = pd.read_parquet(tmp_path / "out.parquet")
    histories_frame = pd.read_parquet(histories)
    empty = sum(len(ids) == 0 for ids in histories_frame.item_ids)
    counts = {"unknown_items": 2, "without_history": empty, "nothing_left": 0}
    assert result == {"users": 200, "rows": len(table)} | counts
    assert table.groupby("user_id").size().eq(3).all()
    for user, ids in histories_frame[["user_id", "item_ids"]].itertuples(index=False):
        of_user = table[table.user_id == user]
        known = [i for i in ids if i in recommender.catalog.row_of]
        if not known:
            assert of_user.empty
            continue
        alone = recommender.recommend(known, trace=False).items[:3]
        assert of_user["rank"].tolist() == [1, 2, 3]
        assert of_user.probability.tolist() == pytest.approx([f.probability for f in alone], rel=1e-4)
        if len({round(f.score, 4) for f in alone}) == 3:
            assert of_user.item_id.tolist() == [f.item.item_id for f in alone]
    assert table.user_id.drop_duplicates().tolist() == [u for u in histories_frame.user_id if u in set(table.user_id)]


def test_what_was_cut_off_goes_on(checkpoint, histories, tmp_path, monkeypatch, small_chunks):
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    run(checkpoint, histories, whole)
    work, done = batch._recommended, []

    def stopping(recommender, table, config, top, chunk):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(chunk)
        return work(recommender, table, config, top, chunk)

    monkeypatch.setattr(batch, "_recommended", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, histories, out)
    assert not out.exists()
    with pytest.raises(MindRecError, match=r"begun with top 10, this run has 4; .*without --resume"):
        run(checkpoint, histories, out, resume=True, top=4)
    monkeypatch.setattr(batch, "_recommended", lambda *a: done.append(a[-1]) or work(*a))
    run(checkpoint, histories, out, resume=True)
    assert [first for first, _ in done] == list(range(0, 200, 25))
    assert pd.read_parquet(out).equals(pd.read_parquet(whole))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.parquet", "whole.parquet"]


def test_bad_files_and_numbers_are_named(checkpoint, histories, tmp_path):
    common = ("recommend-many", "--checkpoint", checkpoint, "--out", tmp_path / "o.parquet", "--device", "cpu")
    (tmp_path / "no.parquet").write_text("user_id,item_ids")
    pq.write_table(pa.table({"who": ["a"]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"user_id": ["a"], "item_ids": [{"a": "i1"}]}), tmp_path / "words.parquet")
    assert "missing.parquet is missing" in refused(*common, "--histories", tmp_path / "missing.parquet")
    assert "not a Parquet file" in refused(*common, "--histories", tmp_path / "no.parquet")
    assert "lacks the column 'user_id'; it has who" in refused(*common, "--histories", tmp_path / "other.parquet")
    assert "a list of ids" in refused(*common, "--histories", tmp_path / "words.parquet")
    assert "--top 99 is outside 1.." in refused(*common, "--histories", histories, "--top", "99")
    assert "--workers -1" in refused(*common, "--histories", histories, "--workers", "-1")
    assert not (tmp_path / "o.parquet").exists()


LISTS = {
    "Python": "['i1', 'i2']",
    "Python, one missing": "['i1', None, 'i2']",
    "a tuple": "('i1', 'i2')",
    "JSON": '["i1", "i2"]',
    "numpy": "['i1' 'i2']",
    "numpy over two lines": "['i1'\n 'i2']",
    "without quotation marks": "[i1, i2]",
    "blanks": "i1 i2",
    "commas": "i1, i2",
    "bars": "i1|i2",
    "semicolons": " i1;i2; ",
}


@pytest.mark.parametrize("written_as", LISTS)
def test_lists_as_people_write_them(written_as):
    assert id_list(LISTS[written_as]) == ["i1", "i2"]


def test_numbers_missing_values_and_lists_that_were_cut():
    assert id_list("[1001.0, 1002, NaN]") == id_list([1001.0, 1002, None, float("nan")]) == ["1001", "1002"]
    assert id_list("[0001001 0001002]") == id_list("0001001,0001002") == ["0001001", "0001002"]
    assert id_list("red shoe, blue shoe") == ["red shoe", "blue shoe"]
    assert id_list("") == id_list(None) == id_list("[]") == id_list("nan") == []
    assert id_list(7) == ["7"]
    for cut in ("[1 2 ... 99]", "['a', ..., 'z']"):
        with pytest.raises(MindRecError, match="was cut"):
            id_list(cut)


def test_files_of_histories_of_any_kind_hold_the_same(tmp_path):
    """CSV, semicolons, JSON lines, Parquet of lists, texts, categories and floats, under other names."""
    users, lists, numbers = ["a", "b"], [["1", "2"], ["3"]], [[1.0, 2.0], [3.0]]
    texts = [" ".join(row) for row in lists]
    rows = [json.dumps({"user_id": user, "item_ids": row}) for user, row in zip(users, [[1, 2.0], ["3"]], strict=True)]
    files = {
        "h.csv": 'user_id,item_ids\na,"[1, 2]"\nb,[3]\n',
        "h.txt": "CustomerID;history\na;1,2\nb;3\n",
        "h.jsonl": "\n".join(rows),
    }
    tables = {
        "lists": pa.table({"user_id": users, "item_ids": numbers}),
        "large": pa.table({"user_id": users, "items": pa.array(lists, pa.large_list(pa.string()))}),
        "texts": pa.table({"user_id": users, "item_ids": texts}),
        "categories": pa.table({"user_id": users, "item_ids": pa.array(texts).dictionary_encode()}),
        "coded": pa.table({"user_id": users, "item_ids": pa.array(lists, pa.list_(pa.string()))}),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    for path in tmp_path.iterdir():
        opened = open_histories(path)
        assert list(opened.rows(0, len(opened))) == [("a", ["1", "2"]), ("b", ["3"])], path.name
        assert list(opened.rows(1, 5)) == [("b", ["3"])], path.name
        assert opened.people() == users, path.name


def test_files_that_are_no_histories_are_refused_with_the_remedy(tmp_path):
    pq.write_table(pa.table({"user_id": [1, 1], "item_id": [7, 8]}), tmp_path / "long.parquet")
    (tmp_path / "cut.csv").write_text("user_id,item_ids\na,[1 2 ... 9]\n")
    with pytest.raises(MindRecError, match=r"one item a row \('item_id'\).*groupby\('user_id'\)"):
        open_histories(tmp_path / "long.parquet")
    with pytest.raises(MindRecError, match=r"cut.csv, line 2: .* was cut"):
        open_histories(tmp_path / "cut.csv")
    with pytest.raises(MindRecError, match="is a folder"):
        open_histories(tmp_path)


def test_what_is_passed_over_is_named(checkpoint, tmp_path):
    (tmp_path / "h.csv").write_text("user_id,item_ids\na,i1 I2\nb,gone\na,i3\nnan,i4\n")
    paths = ("--checkpoint", checkpoint, "--histories", tmp_path / "h.csv", "--out", tmp_path / "o.parquet")
    code, _, err = ours("recommend-many", *paths, "--top", "1", "--device", "cpu")
    assert code == 0, err
    assert "2 items in histories are unknown to the checkpoint and passed over (first: I2; did you mean 'i2'?" in err
    assert "1 of 4 rows have no item that the checkpoint knows, and no answer (first: b)" in err
    assert "1 people have several rows (first: a)" in err
    assert "1 of 4 rows have no user_id" in err
    assert pd.read_parquet(tmp_path / "o.parquet").user_id.fillna("").tolist() == ["a", "a", ""]


def test_the_command_tells_its_counts(checkpoint, histories, tmp_path):
    paths = ("--checkpoint", checkpoint, "--histories", histories, "--out", tmp_path / "o.parquet")
    code, out, err = ours("recommend-many", *paths, "--top", "1", "--device", "cpu", "--json", "-")
    assert code == 0, err
    assert json.loads(out)["unknown_items"] == 2
    code, out, err = ours("recommend-many", *paths, "--top", "1", "--device", "cpu")
    assert re.fullmatch(r"\d+ rows for \d+ users in \S+, after [\d.]+ s\n", out)
    assert list(pd.read_parquet(tmp_path / "o.parquet")) == batch.SCHEMA.names


# -- several processes -------------------------------------------------------------------------------------------------


def workers() -> list[str]:
    return subprocess.run(["pgrep", "-f", "^ray::MapWorker"], capture_output=True, text=True).stdout.split()


def killing_one(out) -> threading.Thread:
    """Kills one worker, hard, once the first chunk is finished."""
    killed = []

    def watch():
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if list(out.with_name(out.name + ".partial").glob("*.parquet")) and (found := workers()):
                subprocess.run(["kill", "-9", found[0]], check=True)
                killed.append(found[0])
                return
            time.sleep(0.02)

    thread = threading.Thread(target=watch, daemon=True)
    thread.killed = killed
    thread.start()
    return thread


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason='the engine is optional: pip install "ray[data]"')
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_a_cluster_recommends_the_same_though_a_worker_dies(cluster, checkpoint, histories, tmp_path, small_chunks):
    run(checkpoint, histories, tmp_path / "alone.parquet")
    thread = killing_one(tmp_path / "spread.parquet")
    run(checkpoint, histories, tmp_path / "spread.parquet", workers=2)
    thread.join()
    assert thread.killed
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "spread.parquet"), pd.read_parquet(tmp_path / "alone.parquet"), rtol=1e-5
    )


@pytest.mark.slow
def test_a_cluster_diagnoses_the_same_though_a_worker_dies(cluster, checkpoint, chain_data, tmp_path, monkeypatch):
    from mindrec.diagnosis import diagnose as module

    monkeypatch.setattr(module, "CHUNK", 20)
    fixed = {"protocol": Protocol(device="cpu"), "k": 1, "progress": False}
    module.diagnose_checkpoint(checkpoint, chain_data, tmp_path / "alone.parquet", **fixed)
    thread = killing_one(tmp_path / "spread.parquet")
    module.diagnose_checkpoint(checkpoint, chain_data, tmp_path / "spread.parquet", workers=2, **fixed)
    thread.join()
    assert thread.killed
    spread, alone = read_cases(tmp_path / "spread.parquet"), read_cases(tmp_path / "alone.parquet")
    assert spread.about == alone.about
    pd.testing.assert_frame_equal(spread.cases, alone.cases, rtol=1e-5)
