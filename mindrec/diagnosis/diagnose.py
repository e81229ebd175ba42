"""Diagnose a checkpoint on a split: chunk by chunk, so that a run that was cut off can go on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, training_sequences
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis.cases import Diagnosis, cases_file, read_cases, summary, write_cases
from mindrec.diagnosis.track_gold import BATCH, ItemFacts, check_followed, diagnose
from mindrec.diagnosis.why import QUICK, WHOLE, Depth
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.report import answerable_cases, open_checkpoint, sampled_cases
from mindrec.jobs.chunks import ChunkedJob, Work
from mindrec.recommender import Recommender
from mindrec.system.files import check_parquet
from mindrec.system.progress import progress_bar

CHUNK = 8 * BATCH


def diagnose_checkpoint(
    checkpoint: Path,
    data: PreparedData,
    out: Path,
    protocol: Protocol = USUAL,
    *,
    k: int = 10,
    depth: Depth = WHOLE,
    resume: bool = False,
    workers: int = 0,
    command: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Diagnose, write the table to `out`, and return its summary.

    Finished chunks lie in `out`.partial until the table is written; `resume` goes on after them. `workers` is how many
    processes of a Ray cluster share the chunks (mindrec.jobs.chunks); 0 is this process alone.

    Args:
        depth: how far beyond the cause of each miss it goes.

    Raises:
        MindRecError: checkpoint and data name different catalogs; there is another run's work to resume.
    """
    if k < 1:
        raise MindRecError(f"k={k} is not a whole number from 1 up")
    check_parquet(out)
    recommender = open_checkpoint(checkpoint, data, protocol.device)
    config = recommender.settings(protocol.settings)
    check_followed(config)
    kept, nothing_left = answerable_cases(recommender, sampled_cases(data, protocol), config)
    about = describe(recommender, config, replace(protocol, users=len(kept)), k=k, depth=depth)
    run = about | {"data": data.fingerprint}
    job = ChunkedJob(out, run, resume=resume)
    if job.finished:
        return summary(read_cases(out)) | {"nothing_left": nothing_left, "seconds": 0.0}
    started, facts = time.perf_counter(), item_facts(recommender, data)
    if workers:
        open_worker = partial(_opened, checkpoint, facts, config, about, protocol.device)
    else:
        open_worker = partial(partial, _diagnosed, recommender, facts, config, about)
    size = BATCH if depth.rescue else CHUNK  # a chunk is what an interruption costs
    _run_in_chunks(job, [kept[n : n + size] for n in range(0, len(kept), size)], open_worker, workers, progress)
    done = _joined(job, out, about | {"command": command, "run": run})
    return summary(done) | {"nothing_left": nothing_left, "seconds": round(time.perf_counter() - started, 3)}


def _run_in_chunks(job: ChunkedJob, parts: list, open_worker: Callable, workers: int, progress: bool) -> None:
    """Diagnose what an earlier run did not; a chunk's number is that of its first case."""
    starts = accumulate(map(len, parts), initial=0)
    chunks = dict(zip(starts, parts, strict=False))
    with progress_bar(total=sum(map(len, parts)), desc="diagnose", unit=" cases", shown=progress) as bar:
        job.run(chunks, {n: len(part) for n, part in chunks.items()}, open_worker, workers, bar)


def _joined(job: ChunkedJob, out: Path, about: dict) -> Diagnosis:
    """The chunks as one table, written to `out`; the partial state goes."""
    tables = [read_cases(part).cases for part in job.parts]
    done = Diagnosis(pd.concat(tables, ignore_index=True), about)
    write_cases(out, done.cases, done.about)
    job.close()
    return done


def describe(
    recommender: Recommender, config: DecodeConfig, protocol: Protocol, *, k: int, depth: Depth = QUICK
) -> dict[str, Any]:
    """The origin of a protocol's cases: enough to refuse another checkpoint's, and to decode a case again."""
    return {
        "checkpoint": {"name": recommender.name, "fingerprint": recommender.checkpoint.fingerprint},
        "catalog": {"name": recommender.catalog.name, "fingerprint": recommender.catalog.fingerprint},
        "levels": [{"kind": v.kind, "name": v.name} for v in recommender.tokenizer.levels],
        "decoder": config.to_dict(),
        "split": protocol.split,
        "users": protocol.users,
        "seed": protocol.seed,
        "k": k,
        **asdict(depth),
    }


def item_facts(recommender: Recommender, data: PreparedData) -> ItemFacts:
    """The facts of a checkpoint's items that `diagnose` needs."""
    ids = [item.item_id for item in recommender.catalog.items]
    train = training_sequences(data.interactions)
    return ItemFacts.of(ids, recommender.tokenizer.codes, recommender.index.levels.categories, train)


def _opened(checkpoint: Path, facts: ItemFacts, config: DecodeConfig, about: dict, device: str) -> Work:
    """A worker of its own process."""
    return partial(_diagnosed, Recommender.from_pretrained(checkpoint, device), facts, config, about)


def _diagnosed(
    recommender: Recommender, facts: ItemFacts, config: DecodeConfig, about: dict, part: Sequence[Case]
) -> bytes:
    """One chunk's cases as a file."""
    depth = Depth(**{name: about[name] for name in asdict(QUICK)})
    frame = diagnose(recommender.denoiser, recommender.index, part, config, facts, k=about["k"], depth=depth)
    return cases_file(frame, about)
