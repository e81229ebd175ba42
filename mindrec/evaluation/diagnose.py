"""Diagnose a checkpoint on a split: chunk by chunk, so that a run that was cut off can go on."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from mindrec.catalog import PreparedData
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.diagnosis import Diagnosis, read_cases, summary, write_cases
from mindrec.evaluation.fate import BATCH, ItemFacts, diagnose
from mindrec.evaluation.protocol import Case, cases, training_sequences
from mindrec.evaluation.report import open_checkpoint, sample_size
from mindrec.files import atomic_folder, read_json, write_json
from mindrec.recommender import Recommender

CHUNK = 8 * BATCH


def diagnose_checkpoint(
    checkpoint: Path,
    data: PreparedData,
    out: Path,
    *,
    split: str = "test",
    users: int | None = None,
    settings: dict | None = None,
    seed: int = 0,
    k: int = 10,
    resume: bool = False,
    device: str = "auto",
    command: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Diagnose, write the table to `out`, and return its summary.

    Finished chunks lie in `out`.partial until the table is written; `resume` goes on after them.

    Raises:
        MindRecError: checkpoint and data name different catalogs; there is another run's work to resume.
    """
    if k < 1:
        raise MindRecError(f"k={k} is not a whole number from 1 up")
    recommender = open_checkpoint(checkpoint, data, device)
    asked = cases(data.interactions, split, sample_size(data, users), seed)
    config = DecodeConfig.from_dict(recommender.default_config.to_dict() | (settings or {}))
    about = describe(recommender, config, split=split, users=len(asked), seed=seed, k=k)
    parts = out.with_name(out.name + ".partial")
    _open_parts(parts, about, resume)
    started = time.perf_counter()
    _work(recommender, data, asked, config, about, parts, progress)
    found = [read_cases(part).cases for part in sorted(parts.glob("*.parquet"))]
    done = Diagnosis(pd.concat(found, ignore_index=True), about | {"command": command})
    write_cases(out, done.cases, done.about)
    shutil.rmtree(parts)
    return summary(done) | {"seconds": round(time.perf_counter() - started, 3)}


def describe(
    recommender: Recommender, config: DecodeConfig, *, split: str, users: int, seed: int, k: int
) -> dict[str, Any]:
    """What the cases belong to: enough to refuse another checkpoint's, and to decode a case again."""
    return {
        "checkpoint": {"name": recommender.name, "fingerprint": recommender.checkpoint.fingerprint},
        "catalog": {"name": recommender.catalog.name, "fingerprint": recommender.catalog.fingerprint},
        "levels": [{"kind": v.kind, "name": v.name} for v in recommender.tokenizer.levels],
        "decoder": config.to_dict(),
        "split": split,
        "users": users,
        "seed": seed,
        "k": k,
    }


def item_facts(recommender: Recommender, data: PreparedData) -> ItemFacts:
    """What `diagnose` must know of a checkpoint's items."""
    ids = [item.item_id for item in recommender.catalog.items]
    train = training_sequences(data.interactions)
    return ItemFacts.of(ids, recommender.tokenizer.codes, recommender.n_categories, train)


def _work(
    recommender: Recommender,
    data: PreparedData,
    asked: Sequence[Case],
    config: DecodeConfig,
    about: dict,
    parts: Path,
    progress: bool,
) -> None:
    """Write the chunks that are not there yet."""
    facts = item_facts(recommender, data)
    with tqdm(total=len(asked), desc="diagnose", unit="case", disable=not progress, mininterval=2) as bar:
        for first in range(0, len(asked), CHUNK):
            part, path = asked[first : first + CHUNK], parts / f"{first:08d}.parquet"
            if path.exists():
                bar.update(len(part))
                continue
            found = diagnose(
                recommender.denoiser, recommender.index, part, config, facts, k=about["k"], report=bar.update
            )
            write_cases(path, found, about)


def _open_parts(parts: Path, about: dict, resume: bool) -> None:
    """Begin afresh, or make sure that the work in `parts` is of this very run."""
    if resume and parts.exists():
        before = read_json(parts / "about.json", "unfinished diagnosis")
        for key, value in about.items():
            if before.get(key) != value:
                raise MindRecError(
                    f"{parts} was begun with {key} {before.get(key)!r}, this run has {value!r}; "
                    "run it with the same settings, or without --resume to begin afresh"
                )
        return
    with atomic_folder(parts) as folder:
        write_json(folder / "about.json", about)
