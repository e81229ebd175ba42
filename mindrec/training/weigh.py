"""After training: item evidence is counted, every part is weighed on held-out cases, and the whole is measured."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import MOSTLY, Case, cases, repeat_share, with_something_left
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.errors import MindRecError
from mindrec.evaluation.evaluate import dense_ranking, measure, rank
from mindrec.evaluation.metrics import accuracy, gold_ranks
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import CodeTable
from mindrec.model.item_item import MAX_ITEMS, ItemItem
from mindrec.model.transitions import Transitions
from mindrec.tokens.tokenizer import Tokenizer
from mindrec.training.calibrate import calibrate, fit_powers

VALIDATION_USERS, CALIBRATION_USERS = 1000, 3000
PROOF_USERS = 25_000
"""Cases at most that must prove a gain of tokens fused item by item: of ten thousand, one of 3 % can be chance."""
SHOWN = ("hit@1", "hit@10", "ndcg@10")


def weigh(
    model: CompactDenoiser,
    tokenizer: Tokenizer,
    data: PreparedData,
    sequences: Sequence[np.ndarray],
    decode: DecodeConfig,
    seed: int,
    *,
    progress: bool = False,
) -> dict[str, Any]:
    """Fit how much each part of item evidence counts, and the denoiser's own logits beside it, in place.

    Args:
        sequences: the training sequences of item rows, (length,) each, that pairs are counted in.

    Returns:
        What training.json keeps: likelihoods of held-out cases, and metrics of the default decode on validation.
    """
    record = {}
    if decode.evidence == "on":
        sample = validation_cases(data, CALIBRATION_USERS, seed + 1)
        record |= count_votes(model, data, sequences, sample)
        if model.adds_up:
            sample = validation_cases(data, PROOF_USERS, seed + 1)
        record["calibration_nll"] = calibrate(model, code_table(model), sample, progress=progress)
    return record | {"validation": make_validation(data, tokenizer, decode, seed)(model)}


def count_votes(
    model: CompactDenoiser, data: PreparedData, sequences: Sequence[np.ndarray], sample: Sequence[Case]
) -> dict[str, Any]:
    """Count pairs of items in training and add their votes to item evidence, if they improve held-out likelihood.

    Counted are transitions (pairs of an item and one that followed) where the data has an order, else items taken
    together. `sequences` hold item rows, (length,) each.
    """
    kind = Transitions if data.interactions.ordered else ItemItem
    if kind is ItemItem and model.n_items > MAX_ITEMS:
        model.set_votes(None)
        return {"item_item": f"none: {model.n_items:,} items, and {MAX_ITEMS:,} at most are joined"}
    votes = kind.counted(sequences, model.n_items, repeats=model.config.repeats).to(model.tokens_NL.device)
    fitted = fit_powers(model, votes, sample)
    model.set_votes(votes if votes.powers[1] > 0 else None)
    return {"transitions_nll" if kind is Transitions else "item_item_nll": fitted}


def code_table(model: CompactDenoiser) -> CodeTable:
    """The model's own codes as a table for sums over items, on its device."""
    return CodeTable(model.levels.codes(model.tokens_NL).cpu(), model.level_sizes).to(model.tokens_NL.device)


def validation_cases(data: PreparedData, users: int, seed: int) -> list[Case]:
    """A seeded sample of validation cases, without users who have the whole catalog where repeats are ruled out.

    Raises MindRecError where nobody else is left.
    """
    sample = cases(data.interactions, "validation", users, seed)
    if repeat_share(sample) <= MOSTLY:
        sample = with_something_left(sample, len(data.catalog))
    if not sample:
        raise MindRecError(
            f"every validation user has all {len(data.catalog):,} items of the catalog: nothing is left to recommend; "
            "give a larger catalog, or shorter sequences"
        )
    return sample


def dense_validation(data: PreparedData, seed: int) -> Callable:
    """model -> validation metrics of its dense head; "score" is NDCG@10."""
    sample = validation_cases(data, VALIDATION_USERS, seed)
    targets = np.array([c.target for c in sample])

    def validate(model: CompactDenoiser) -> dict:
        measures = accuracy(gold_ranks(dense_ranking(model, sample, exclude_seen=not model.config.repeats), targets))
        return {"score": measures["ndcg@10"], **{f"dense_{k}": measures[k] for k in SHOWN}}

    return validate


def make_validation(data: PreparedData, tokenizer: Tokenizer, decode: DecodeConfig, seed: int) -> Callable:
    """model -> validation metrics of a decode and of the dense head; "score" is the decode's NDCG@10."""
    sample = validation_cases(data, VALIDATION_USERS, seed)
    tokens = torch.from_numpy(tokenizer.tokens)
    of_dense = dense_validation(data, seed)

    def validate(model: CompactDenoiser) -> dict:
        index = ItemIndex(tokens.to(model.tokens_NL.device), tokenizer.layout)
        ranking = rank(model, index, sample, decode)
        measures = measure(ranking, sample, tokenizer.codes, tokenizer.n_items)
        dense = of_dense(model)
        return dense | {
            "score": measures["ndcg@10"],
            "evidence": decode.evidence,
            **{k: measures[k] for k in SHOWN},
            "evidence_weight": [round(w, 3) for w in model.evidence_weight().tolist()],
            "opinion_weight": [round(w, 3) for w in model.token_weight().tolist()],
        }

    return validate
