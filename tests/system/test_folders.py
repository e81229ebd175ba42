"""The published folders that `MINDREC_FOLDERS` names: each loads, trains a short epoch, decodes and is evaluated.

MINDREC_FOLDERS=path/to/folders python -m pytest -m slow tests/test_folders.py
"""

import json
import os
from pathlib import Path

import pytest
from commands import ours

from mindrec.recommender import Recommender

PLACE = os.environ.get("MINDREC_FOLDERS")
FOLDERS = sorted(p for p in Path(PLACE).iterdir() if (p / "items.jsonl.gz").exists()) if PLACE else []
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FOLDERS, reason="MINDREC_FOLDERS names no folder of data")]


def journey(source: Path, out: Path, *, induce: bool, own: bool) -> dict:
    """prepare, train, evaluate by their commands; then one decode with its trace."""
    done("prepare", "jsonl", "--path", source, "--out", out / "data", *(["--induce-tree"] if induce else []))
    done(
        "train", "--data", out / "data", "--out", out / "model", "--preset", "tiny", "--codebook-size", 32,
        "--sid-levels", 4, "--epochs", 1, "--dense-epochs", 1, "--sequences", 1500, "--device", "cpu",
        *(["--semantic-ids", "own"] if own else []),
    )  # fmt: skip
    result = json.loads(
        done(
            "evaluate",
            "--checkpoint",
            out / "model",
            "--data",
            out / "data",
            "--users",
            200,
            "--device",
            "cpu",
            "--json",
            "-",
        )
    )
    recommender = Recommender.from_pretrained(out / "model", "cpu")
    answer = recommender.recommend([item.item_id for item in recommender.catalog.items[:3]])
    assert len(answer.items) == recommender.default_config.beam_size
    assert 1 < len(answer.trace.steps) <= len(answer.trace.levels) + 1, "the start, and a step a position at most"
    assert result["users"] == 200
    assert result["metrics"]["cc"] == 0, "every answer is an item of the catalog"
    assert recommender.catalog.induced == induce
    return result


def done(*arguments) -> str:
    code, out, err = ours(*arguments)
    assert code == 0, err[-2000:]
    return out


@pytest.mark.parametrize("source", FOLDERS, ids=lambda p: p.name)
@pytest.mark.parametrize("induce", [False, True], ids=["as it is", "induced tree"])
def test_a_published_folder(source, induce, tmp_path):
    own = (source / "semantic_ids.json").exists()
    has_tree = '"categories": [' in _first_lines(source) and '"categories": []' not in _first_lines(source)
    if induce and has_tree:
        pytest.skip("it has a tree of its own")
    result = journey(source, tmp_path, induce=induce, own=own)
    print(source.name, "induced" if induce else "", {k: result["metrics"][k] for k in ("hit@10", "ndcg@10")})


def _first_lines(source: Path) -> str:
    import gzip

    with gzip.open(source / "items.jsonl.gz", "rt", encoding="utf-8") as stream:
        return "".join(next(stream, "") for _ in range(20))
