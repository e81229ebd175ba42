"""Why was the right item lost? Tables over diagnosed cases: plain pandas, no torch, no drawing.

`python -m mindrec diagnose` writes the cases; here they are read, summed up, sliced, compared and exported. Every
function takes the table of cases, filtered as you like, and returns a frame.

>>> found = read_cases("cases.parquet")           # doctest: +SKIP
>>> survival_by_step(found.cases)                 # doctest: +SKIP
>>> causes(found.cases[found.cases.cold_item])    # doctest: +SKIP
"""

import io
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mindrec.diagnosis.kinds import CAUSES, ERRORS, NONE, RESCUES, rescue_kind
from mindrec.errors import MindRecError
from mindrec.evaluation.metrics import HITS, ndcg_at_k
from mindrec.system.files import atomic_path

VERSION = 2

PULLS = pa.list_(pa.struct([("item", pa.string()), ("nats", pa.float32())]))  # half of what a table weighs

COLUMNS: dict[str, pa.DataType] = {
    "user_id": pa.string(),
    "history": pa.list_(pa.string()),  # item ids, oldest first
    "gold": pa.string(),  # the true next item; null where the catalog lacks it
    **{f"hit@{k}": pa.bool_() for k in HITS},
    "gold_rank": pa.int64(),  # 0 is the best; null where it was not recommended
    "gold_beams": pa.list_(pa.int32()),  # after each step, the start included: beams that can still become the gold
    "gold_best_rank": pa.list_(pa.int32()),  # the best of them, 0 is the best; -1 where there is none
    "died_step": pa.int64(),  # the first step after which there is none; 0 for an item that was never possible
    "died_level": pa.int64(),  # the position revealed there
    "levels_passed": pa.list_(pa.bool_()),  # positions at which a beam took the gold's code and lived
    "margin": pa.float64(),  # nats from the gold's best candidate up to the worst kept beam; null without a candidate
    "cause": pa.string(),  # one of CAUSES; null for a hit
    "entropy": pa.float64(),  # nats, of the codes at the position chosen first
    "history_length": pa.int64(),
    "item_popularity": pa.int64(),  # training sequences that hold the gold
    "category_popularity": pa.int64(),  # the same summed over its finest category; null without categories
    "cold_item": pa.bool_(),  # in no training sequence
    "repeated_category": pa.bool_(),  # whether the history has an item of its finest category
    "gold_path": pa.list_(pa.int32()),  # category codes, coarse to fine
    "top_item": pa.string(),  # the first recommendation; null where it names no item
    "top_path": pa.list_(pa.int32()),
    "top_probability": pa.float64(),  # exp of its score: the search's own, not a chance of being right
    "exact_probability": pa.float64(),  # the gold's without beams; 0 where ruled out, null where scores need beams
    "exact_rank": pa.int64(),  # its rank without beams; null where it has none or was not looked for
    "error": pa.string(),  # one of ERRORS for a miss: would the exact ranking have it among the first k?
    "pulls": PULLS,  # of the history's items on the gold, strongest first: nats that the log-probability loses without
    "rescue": pa.string(),  # smallest change that puts the gold among the first k, or "none"; null where not looked for
    "rescue_cost": pa.float64(),  # see mindrec.diagnosis.rescue
}
"""The table of cases: one row a case."""

Z = 1.959964
"""Standard errors of a 95% interval."""

SLICES = ("history_length", "item_popularity", "category_popularity", "entropy", "cold_item", "repeated_category")


@dataclass(frozen=True)
class Diagnosis:
    """Diagnosed cases, and what they belong to.

    Attributes:
        cases: columns as in COLUMNS.
        about: checkpoint and catalog (name, fingerprint), levels, decoder, split, users, seed, k, command.
    """

    cases: pd.DataFrame
    about: dict[str, Any]


# -- files -------------------------------------------------------------------------------------------------------------


def write_cases(path: Path, cases: pd.DataFrame, about: dict[str, Any]) -> None:
    """Write Parquet, whole or not at all; `about` goes into the file's schema metadata under "mindrec"."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(cases_file(cases, about))


def cases_file(cases: pd.DataFrame, about: dict[str, Any]) -> bytes:
    """The same file, not yet written."""
    table = pa.Table.from_pandas(cases, schema=pa.schema(list(COLUMNS.items())), preserve_index=False)
    words = json.dumps(about | {"version": VERSION}, ensure_ascii=False)
    table = table.replace_schema_metadata({**table.schema.metadata, b"mindrec": words.encode()})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", compression_level=15)
    return out.getvalue()


def read_cases(path: Path) -> Diagnosis:
    """Raises MindRecError for a file that is missing, damaged, or was not written by `diagnose`."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise MindRecError(f"cases: {path} is missing; `python -m mindrec diagnose --out {path}` writes it") from error
    except (pa.ArrowException, OSError) as error:
        raise MindRecError(f"cases: {path} is not a Parquet file that can be read ({error}); write it again") from error
    try:
        about = json.loads((table.schema.metadata or {})[b"mindrec"])
    except (KeyError, ValueError) as error:
        raise MindRecError(f"cases: {path} was not written by `mindrec diagnose`; its metadata has no word") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if about.get("version") != VERSION or missing:
        what = f"lacks the column {missing[0]!r}" if missing else f"is version {about.get('version')!r}"
        raise MindRecError(f"cases: {path} {what}; this release reads version {VERSION}: run `mindrec diagnose` again")
    return Diagnosis(table.to_pandas(), about)


def check_belongs(diagnosis: Diagnosis, *, checkpoint: str, catalog: str) -> None:
    """Refuse cases of another checkpoint or catalog, given by fingerprint: their steps could not be shown again."""
    for what, fingerprint in (("checkpoint", checkpoint), ("catalog", catalog)):
        wanted = diagnosis.about[what]
        if wanted["fingerprint"] != fingerprint:
            raise MindRecError(
                f"the cases are of {what} {wanted['name']!r} ({wanted['fingerprint']}), this one is {fingerprint}; "
                f"load that {what}, or run `python -m mindrec diagnose` again"
            )


def export(diagnosis: Diagnosis, path: Path) -> None:
    """Write the cases as .csv, .parquet or .jsonl, by the ending of the name. A CSV cell holds a list as JSON.

    Raises MindRecError for another ending.
    """
    path, cases = Path(path), diagnosis.cases
    if path.suffix == ".parquet":
        return write_cases(path, cases, diagnosis.about)
    if path.suffix not in (".csv", ".jsonl"):
        raise MindRecError(f"export to {path.name!r}: the name must end in .csv, .parquet or .jsonl")
    with atomic_path(path) as temporary:
        if path.suffix == ".jsonl":
            cases.to_json(temporary, orient="records", lines=True, force_ascii=False, double_precision=15)
        else:
            lists = [name for name, kind in COLUMNS.items() if pa.types.is_list(kind)]
            flat = {name: [json.dumps(list(v), default=np.generic.item) for v in cases[name]] for name in lists}
            cases.assign(**flat).to_csv(temporary, index=False)


# -- totals ------------------------------------------------------------------------------------------------------------


def hits(cases: pd.DataFrame, k: int) -> np.ndarray:
    """Whether the gold is among the first k, bool (cases,)."""
    return cases["gold_rank"].lt(k).fillna(False).to_numpy(dtype=bool)


def summary(diagnosis: Diagnosis) -> dict[str, Any]:
    """users, hits, misses, k, and the counts of causes, errors and, where looked for, rescues: each adds up to the
    misses. `errors` counts as "none" the misses whose settings define no exact ranking."""
    k, cases = diagnosis.about["k"], diagnosis.cases
    n_hits = int(hits(cases, k).sum())
    out = {"users": len(cases), "hits": n_hits, "misses": len(cases) - n_hits, "k": k}
    out["causes"] = causes(cases).set_index("cause")["misses"].to_dict()
    kinds = errors(cases).set_index("error")["misses"]
    out["errors"] = kinds.to_dict() | {NONE: out["misses"] - int(kinds.sum())}
    if diagnosis.about.get("rescue"):
        out["rescues"] = rescues(cases).set_index("rescue")["misses"].to_dict()
    return out


def errors(cases: pd.DataFrame) -> pd.DataFrame:
    """error, misses, share: misses by search and model error, where the settings define which."""
    counts = cases["error"].value_counts().reindex(ERRORS, fill_value=0)
    share = counts / max(counts.sum(), 1)
    return pd.DataFrame({"error": ERRORS, "misses": counts.to_numpy(dtype=int), "share": share.to_numpy(float)})


def rescues(cases: pd.DataFrame) -> pd.DataFrame:
    """rescue, misses, share: misses by the kind of change that would have saved them, all kinds in order, then none.

    By hindsight: of some thirty changes the smallest that works was taken, knowing the true item.
    """
    kinds = cases["rescue"].dropna().map(rescue_kind)
    counts = kinds.value_counts().reindex(RESCUES, fill_value=0)
    share = counts / max(counts.sum(), 1)
    return pd.DataFrame({"rescue": RESCUES, "misses": counts.to_numpy(dtype=int), "share": share.to_numpy(float)})


def causes(cases: pd.DataFrame) -> pd.DataFrame:
    """cause, misses, share (of the misses): every cause in its order of precedence, those of no case too."""
    counts = cases["cause"].value_counts().reindex(CAUSES, fill_value=0)
    share = counts / max(counts.sum(), 1)
    return pd.DataFrame({"cause": CAUSES, "misses": counts.to_numpy(dtype=int), "share": share.to_numpy(dtype=float)})


# -- where the gold was lost -------------------------------------------------------------------------------------------


def survival_by_step(cases: pd.DataFrame) -> pd.DataFrame:
    """step, users, alive, survival, low, high, best_rank: cases with a beam that can still become the gold.

    `best_rank` is the mean rank of the best such beam where there is one. low and high bound survival at 95%.
    """
    beams, ranks = _stack(cases["gold_beams"]), _stack(cases["gold_best_rank"])
    alive = (beams > 0).sum(0)
    rank = np.where(ranks >= 0, ranks, 0).sum(0) / np.maximum(alive, 1)
    frame = pd.DataFrame({"step": np.arange(beams.shape[1]), "users": len(cases)})
    return _with_rate(frame, alive, "alive", "survival").assign(best_rank=np.where(alive > 0, rank, np.nan))


def survival_by_level(cases: pd.DataFrame) -> pd.DataFrame:
    """level, users, passed, survival, low, high, lost, through: per position, whenever it was revealed.

    `users` reached the position with the gold alive, `passed` left it alive; `through` is their share of all cases.
    """
    passed = _stack(cases["levels_passed"])
    died = cases["died_level"].dropna().to_numpy(dtype=int)
    through = passed.sum(0)
    lost = np.bincount(died, minlength=passed.shape[1])[: passed.shape[1]]
    frame = pd.DataFrame({"level": np.arange(passed.shape[1]), "users": through + lost})
    return _with_rate(frame, through, "passed", "survival").assign(lost=lost, through=through / max(len(cases), 1))


def lost_at(cases: pd.DataFrame) -> pd.DataFrame:
    """step, level, lost: how many golds died at each step while each position was revealed."""
    died = cases[["died_step", "died_level"]].dropna().astype(int)
    counts = died.value_counts(["died_step", "died_level"]).sort_index().rename("lost").reset_index()
    return counts.rename(columns={"died_step": "step", "died_level": "level"})


def confusion(cases: pd.DataFrame, level: int, labels: Sequence[str] | None = None) -> pd.DataFrame:
    """gold, recommended, cases, share (of the gold's row): categories at a level, most frequent pairs first.

    Args:
        labels: the level's names by code (Tokenizer.levels[level].labels); the frame then has names besides.

    Raises:
        MindRecError: the level is no category level.
    """
    gold, top = _stack(cases["gold_path"]), _stack(cases["top_path"])
    if len(cases) and not 0 <= level < gold.shape[1]:
        raise MindRecError(f"level {level} is not a category level; this table has 0..{gold.shape[1] - 1}")
    pairs = pd.DataFrame({"gold": gold[:, level], "recommended": top[:, level]} if len(cases) else {}, dtype=int)
    pairs = pairs.reindex(columns=["gold", "recommended"]).astype(int)
    pairs = pairs[(pairs["gold"] >= 0) & (pairs["recommended"] >= 0)]
    out = pairs.value_counts(["gold", "recommended"]).rename("cases").reset_index()
    out["share"] = out["cases"] / out.groupby("gold")["cases"].transform("sum")
    if labels is not None:
        for name in ("gold", "recommended"):
            out[f"{name}_label"] = [labels[code] for code in out[name]]
    return out


# -- slices and calibration --------------------------------------------------------------------------------------------


def slices(
    cases: pd.DataFrame, by: str, k: int = 10, bins: int = 5, popular: Collection[str] | None = None
) -> pd.DataFrame:
    """lowest, highest, users, hits, rate, low, high and more: how well a decode does along one fact.

    Numbers are cut at quantiles into at most `bins` bins of about equal size; lowest and highest are the values that
    a bin really holds, both included, so that a filter can take them as they are. Beyond the hit rate with its 95%
    interval:

    - ndcg, ndcg_low, ndcg_high: the mean NDCG@k, and its 95% interval by the normal approximation;
    - answers: how many different first answers a slice has; not coverage@10, for which a table would have to hold the
      first ten answers of each case, and more of them in a larger slice;
    - popular, popular_low, popular_high: the share of first answers among `popular`, where that is given;
    - p: of Fisher's exact test of the slice's hits against all others', by Benjamini and Hochberg's step-up corrected
      for the number of slices.

    Args:
        popular: ids of the items that count as popular.

    Raises:
        MindRecError: `by` is none of SLICES.
    """
    if by not in SLICES:
        raise MindRecError(f"slice by {by!r} is not one of {', '.join(SLICES)}")
    known = cases[cases[by].notna()]
    values = known[by].to_numpy(dtype=float)
    frame = _rates(values, hits(known, k), bins)
    inside = [(values >= r.lowest) & (values <= r.highest) for r in frame.itertuples()]
    gains, first = ndcg(known, k), known["top_item"]
    means = np.array([[gains[mine].mean(), gains[mine].std() / np.sqrt(mine.sum())] for mine in inside]).reshape(-1, 2)
    frame = frame.assign(
        ndcg=means[:, 0],
        ndcg_low=(means[:, 0] - Z * means[:, 1]).clip(0),
        ndcg_high=(means[:, 0] + Z * means[:, 1]).clip(0, 1),
        answers=[first[mine].nunique() for mine in inside],
        p=_corrected(frame),
    )
    if popular is None:
        return frame
    taken = first.isin(set(popular)).to_numpy()
    counts = np.array([taken[mine].sum() for mine in inside])
    low, high = wilson(counts, frame["users"].to_numpy())
    return frame.assign(popular=counts / np.maximum(frame["users"], 1), popular_low=low, popular_high=high)


def ndcg(cases: pd.DataFrame, k: int) -> np.ndarray:
    """NDCG@k of each case, float64 (cases,)."""
    return ndcg_at_k(cases["gold_rank"].fillna(-1).to_numpy(dtype=int), k)


def _corrected(frame: pd.DataFrame) -> np.ndarray:
    """p of each slice's hits against those of all other slices together, corrected for how many slices there are."""
    from scipy.stats import false_discovery_control, fisher_exact

    users, n_hits = frame["users"].to_numpy(), frame["hits"].to_numpy()
    p = []
    for n, hit in zip(users, n_hits, strict=True):
        others, rest = n_hits.sum() - hit, users.sum() - n
        p.append(fisher_exact([[hit, n - hit], [others, rest - others]]).pvalue)
    return false_discovery_control(p) if p else np.zeros(0)


def calibration(cases: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """lowest, highest, users, hits, rate, low, high, probability: of the top item, against how often it is right.

    `probability` is the bin's mean path probability. Bins hold about equally many cases.
    """
    p = cases["top_probability"].to_numpy(dtype=float)
    return _rates(p, hits(cases, 1), bins, mean="probability")


def _rates(values: np.ndarray, hit: np.ndarray, bins: int, mean: str | None = None) -> pd.DataFrame:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])) if len(values) else np.zeros(0)
    bin_U = np.searchsorted(edges, values, side="left")
    groups = pd.DataFrame({"value": values, "hit": hit, "bin": bin_U}).groupby("bin")
    frame = groups["value"].agg(["min", "max", "size"]).set_axis(["lowest", "highest", "users"], axis=1)
    frame = _with_rate(frame.reset_index(drop=True), groups["hit"].sum().to_numpy(dtype=int), "hits", "rate")
    return frame if mean is None else frame.assign(**{mean: groups["value"].mean().to_numpy()})


def wilson(hits: np.ndarray, users: np.ndarray, z: float = Z) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval (low, high) of rates (n,), 95% by default: within 0..1, and honest for small counts."""
    hits, n = np.asarray(hits, dtype=float), np.maximum(np.asarray(users, dtype=float), 1e-12)
    middle = (hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(np.maximum(hits * (n - hits) / n, 0) + z * z / 4)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def _with_rate(frame: pd.DataFrame, hits: np.ndarray, count: str, rate: str) -> pd.DataFrame:
    low, high = wilson(hits, frame["users"].to_numpy())
    share = hits / np.maximum(frame["users"].to_numpy(), 1)
    return frame.assign(**{count: hits, rate: share, "low": low, "high": high})


def _stack(column: pd.Series) -> np.ndarray:
    """A column of equally long lists as one array (cases, length); (0, 0) without cases."""
    return np.stack(column.to_list()) if len(column) else np.zeros((0, 0), dtype=int)
