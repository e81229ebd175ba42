"""One evaluation, or a sweep of them, as plain JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, cases, item_counts, repeats_warning, training_sequences
from mindrec.decoding.answerable import answerable
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.baselines import BASELINES, rank_baseline
from mindrec.evaluation.beam_loss import beam_loss
from mindrec.evaluation.bootstrap import bootstrap_ratio, ratios_of_ranks
from mindrec.evaluation.evaluate import Ranking, dense_ranking, measure, rank
from mindrec.evaluation.metrics import accuracy, diversity, gold_ranks, ndcg_at_k, semantic_accuracy
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.slices import reach, slices
from mindrec.recommender import Recommender
from mindrec.system import distributed as processes

GROCERY_USERS = 5000
DECODED = {
    "one_pass": {"steps": 1},
    "left_to_right": {"order": "left_to_right"},
    "evidence_off": {"evidence": "off"},
    "evidence_only": {"evidence": "only"},
    "published": {"algorithm": "published", "beam_size": 10},
}
"""Comparators that are the same checkpoint decoded otherwise; changes to the settings that are measured."""

Measured = tuple[dict, np.ndarray]
"""Measures of a ranking, and the rank of each user's true item, (U,), 0 the best, -1 for none."""


def evaluate_checkpoint(
    checkpoint: Path,
    data: PreparedData,
    protocol: Protocol = USUAL,
    *,
    baselines: Sequence[str] | None = (),
    twin: Path | None = None,
    sweep: list[dict] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Evaluate a checkpoint and the named baselines on the same cases.

    Args:
        baselines: popularity, covisit, dense, or a name in DECODED; None for the first three, as far as there are any.
        twin: another checkpoint of the same catalog, measured by its own default decode and with evidence off.
        say: is called first with a line where exclude_seen rules most targets out.

    Returns:
        The measures; `gain`, the ratio of the decode to the same checkpoint's item evidence alone; and `model_over`,
        the ratio to each baseline. Ratios have a 95 % interval by a bootstrap over users.

    Raises:
        MindRecError: the checkpoint and the data name different catalogs.
    """
    _check_baselines(baselines or ())
    processes.start()
    recommender = open_checkpoint(checkpoint, data, protocol.device)
    config = recommender.settings(protocol.settings)
    answerable, nothing_left = answerable_cases(recommender, sampled_cases(data, protocol), config)
    if config.exclude_seen and (line := repeats_warning(answerable, protocol.split)):
        say(line)
    test = _Test(recommender, data, answerable, protocol.batch)
    about = {"dataset": data.catalog.name, "split": protocol.split, "users": len(answerable), "seed": protocol.seed}
    if sweep is not None:
        rows = test.sweep([config.laid_over(row) for row in sweep])
        return {"rows": [about | row for row in rows]}
    out, ranks_U = test.one(config, sliced=True)
    others = {name: test.baseline(name, config) for name in (test.usual if baselines is None else baselines)}
    if twin is not None:
        described, measured = _twin(open_checkpoint(twin, data, protocol.device), test)
        out, others = out | {"twin": described}, others | measured
    compared = _compared(ranks_U, others, test.evidence_alone(config), protocol.seed)
    return about | out | {"nothing_left": nothing_left} | compared


def _check_baselines(names: Sequence[str]) -> None:
    """Raises MindRecError for a name that is none."""
    if unknown := set(names) - {*BASELINES, "dense", *DECODED}:
        raise MindRecError(f"baseline {min(unknown)!r} is not one of {', '.join((*BASELINES, 'dense', *DECODED))}")


def _compared(ranks_U: np.ndarray, others: dict[str, Measured], alone: Measured | None, seed: int) -> dict:
    """The measures of the others, and the ratios of the decode to each of them."""
    out: dict = {}
    if alone is not None:
        out |= {"evidence_alone": alone[0], "gain": ratios_of_ranks(ranks_U, alone[1], seed)}
    if others:
        out["baselines"] = {name: measures for name, (measures, _) in others.items()}
        out["model_over"] = {name: ratios_of_ranks(ranks_U, ranks, seed) for name, (_, ranks) in others.items()}
    return out


def answerable_cases(recommender: Recommender, sample: Sequence[Case], config: DecodeConfig) -> tuple[list[Case], int]:
    """The cases to whom something can be recommended, and how many others there are.

    Raises MindRecError where nobody is left.
    """
    able = answerable(recommender.index, [c.history for c in sample], config)
    kept = [case for case, ok in zip(sample, able, strict=True) if ok]
    if not kept:
        raise MindRecError(
            f"none of the {len(sample):,} cases has an item left to recommend: the histories hold the whole catalog; "
            "set exclude_seen=false, or give a larger catalog"
        )
    return kept, len(sample) - len(kept)


def open_checkpoint(checkpoint: Path, data: PreparedData, device: str) -> Recommender:
    """Load a checkpoint to ask it about `data`. Raises MindRecError where they name different catalogs."""
    recommender = Recommender.from_pretrained(checkpoint, device)
    if recommender.catalog.fingerprint != data.catalog.fingerprint:
        raise MindRecError(
            f"checkpoint {checkpoint} was trained on catalog {recommender.catalog.fingerprint}, the data is "
            f"{data.catalog.fingerprint}; give the data it was trained on, or train again "
            "(evaluate --cold asks for items that were held out)"
        )
    return recommender


def sampled_cases(data: PreparedData, protocol: Protocol) -> list[Case]:
    """The cases of a protocol; where it names no number, fewer than all of grocery: a figure needs no more."""
    grocery = protocol.users is None and data.catalog.name == "grocery"
    return cases(data.interactions, protocol.split, GROCERY_USERS if grocery else protocol.users, protocol.seed)


def ranked(recommender: Recommender, sample: Sequence[Case], config: DecodeConfig, batch: int) -> Ranking:
    """A checkpoint's answers to cases, with a bar of progress."""
    return rank(
        recommender.denoiser,
        recommender.index,
        sample,
        config,
        batch=batch,
        progress=True,
    )


@dataclass(frozen=True)
class _Test:
    """A checkpoint and the cases that it is asked."""

    recommender: Recommender
    data: PreparedData
    sample: Sequence[Case]
    batch: int

    @property
    def targets_U(self) -> np.ndarray:
        return np.array([case.target for case in self.sample])

    @property
    def has_evidence(self) -> bool:
        """Whether the denoiser has a dense head, of which item evidence is made."""
        return self.recommender.denoiser.evidence_weight() is not None

    @property
    def usual(self) -> tuple[str, ...]:
        """The baselines that cost little."""
        return (*BASELINES, "dense") if self.has_evidence else tuple(BASELINES)

    def one(self, config: DecodeConfig, *, sliced: bool = False) -> Measured:
        """A decode, all that is measured of it and its cost."""
        recommender, targets = self.recommender, self.targets_U
        ranking = ranked(recommender, self.sample, config, self.batch)
        metrics = measure(ranking, self.sample, recommender.tokenizer.codes, recommender.tokenizer.n_items)
        semantic = recommender.tokenizer.codes[:, len(recommender.index.levels.categories) :]
        metrics |= {f"sid_{name}": value for name, value in semantic_accuracy(ranking.rows, targets, semantic).items()}
        popularity = item_counts(self.data.interactions)
        out = {
            "checkpoint": {"name": recommender.name, "fingerprint": recommender.checkpoint.fingerprint},
            "decoder": config.to_dict(),
            "nfe": ranking.nfe,
            "beam_rows": ranking.beam_rows,
            "metrics": metrics | reach(ranking.rows, targets, popularity),
            "seconds": round(ranking.seconds, 3),
            "device": recommender.device,
        }
        ranks_U = gold_ranks(ranking.rows, targets)
        if sliced:
            out["slices"] = slices(ranking, ranks_U, self.sample, popularity)
            loss = beam_loss(recommender.denoiser, recommender.index, self.sample, ranking, config)
            out["metrics"] |= {} if loss is None else {"beam_loss@10": loss}
        return out, ranks_U

    def sweep(self, configs: Sequence[DecodeConfig]) -> list[dict]:
        """A row for each config; from the second on with its ratio to the first one's NDCG@10, paired by user."""
        rows, first_U = [], None
        for config in configs:
            row, ranks_U = self.one(config)
            ndcg_U = ndcg_at_k(ranks_U, 10)
            if first_U is None:
                first_U = ndcg_U
            elif first_U.any():
                row["ndcg@10_to_first"] = bootstrap_ratio(ndcg_U[None], first_U[None])
            rows.append(row)
        return rows

    def decoded(self, config: DecodeConfig) -> Measured:
        """Measures of one decode, and the denoiser calls a user that it took."""
        ranking = ranked(self.recommender, self.sample, config, self.batch)
        codes, n_items = self.recommender.tokenizer.codes, self.recommender.tokenizer.n_items
        measures = measure(ranking, self.sample, codes, n_items) | {"nfe": ranking.nfe}
        return measures, gold_ranks(ranking.rows, self.targets_U)

    def baseline(self, name: str, config: DecodeConfig) -> Measured:
        """A ranking that needs no search, or the same checkpoint decoded otherwise."""
        if name in DECODED:
            return self.decoded(config.laid_over(DECODED[name]))
        if name == "dense":
            return self.ranked_rows(
                dense_ranking(self.recommender.denoiser, self.sample, exclude_seen=config.exclude_seen)
            )
        interactions = self.data.interactions
        rows = rank_baseline(
            name,
            training_sequences(interactions),
            self.sample,
            len(self.data.catalog),
            ordered=interactions.ordered,
            exclude_seen=config.exclude_seen,
        )
        return self.ranked_rows(rows)

    def evidence_alone(self, config: DecodeConfig) -> Measured | None:
        """The whole of item evidence ranks, without tokens and without a search; None where there is none."""
        if not self.has_evidence:
            return None
        denoiser, seen = self.recommender.denoiser, config.exclude_seen
        return self.ranked_rows(dense_ranking(denoiser, self.sample, transitions=True, exclude_seen=seen))

    def ranked_rows(self, rows_UK: np.ndarray) -> Measured:
        """Measures of a ranking of item rows."""
        tokenizer, ranks_U = self.recommender.tokenizer, gold_ranks(rows_UK, self.targets_U)
        measured = accuracy(ranks_U) | diversity(rows_UK.tolist(), tokenizer.codes, tokenizer.n_items)
        return measured | reach(rows_UK, self.targets_U, item_counts(self.data.interactions)), ranks_U


def _twin(other: Recommender, test: _Test) -> tuple[dict, dict[str, Measured]]:
    """Describe the other checkpoint, and measure its default decode, also with evidence off, on the same cases."""
    default, same = other.default_config, replace(test, recommender=other)
    described = {
        "name": other.name,
        "fingerprint": other.checkpoint.fingerprint,
        "objective": (other.checkpoint.training or {}).get("objective"),
    }
    off = same.decoded(replace(default, evidence="off"))
    return described, {"twin": same.decoded(default), "twin_evidence_off": off}
