"""Alignment: a short phase after training in which a checkpoint's own beams teach its tokens.

A round draws training prefixes, decodes them by the tokens alone, and pairs the better answer with worse ones of its
beams. "rank" puts the better one's log-probability above theirs by a margin (LTRGR, arXiv 2306.15222), "dpo" prefers
it to one of them as far as the model has moved from where the round began (arXiv 2305.18290; iterated as OneRec does,
arXiv 2502.18965). Both stand beside the loss of ordinary training, and the dense part stays as it is. What answer is
the better one says the reward: "hit" is the true next item where the beams have found it, "tail" a true item that is
not one of those that everybody takes, against answers that are.

Worse answers are drawn from the beams, and for "hit" only beams that hold the true item teach. Against the likeliest
answers of every prefix an item that is often right and more often wrong would be pushed down everywhere: a round of
that took a third to two thirds of the hits of the grocery checkpoint's tokens.

Shape legend: P prefixes, K items a prefix, L levels, N items.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mindrec.checkpoint import FOLDER, Checkpoint, load_checkpoint
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, item_counts, training_sequences
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.errors import MindRecError
from mindrec.evaluation.evaluate import rank
from mindrec.evaluation.metrics import gold_ranks, hit_at_k, ndcg_at_k
from mindrec.evaluation.slices import reach
from mindrec.model.alignment import log_ratio, margin_loss, preference_loss
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import MASKED, CodeTable
from mindrec.system.files import check_replaceable
from mindrec.system.progress import progress_bar
from mindrec.training.batches import batches
from mindrec.training.model_card import model_card
from mindrec.training.objectives import LossConfig, block_loss
from mindrec.training.running import USUAL, Running
from mindrec.training.weigh import CALIBRATION_USERS, code_table, validation_cases, weigh

LOSSES, REWARDS = ("rank", "dpo"), ("hit", "tail")
RIVALS, BEAMS = 2, 15
MARGINS, BETA = (1.0, 2.0), 0.1
STEP_PREFIXES, STEP_TARGETS = 50, 500
TAKEN_BY_ALL = 0.1
"""Share of the catalog, the items taken most, whose answers the reward "tail" counts as the worse ones."""


@dataclass(frozen=True)
class AlignConfig:
    """A phase of alignment.

    Attributes:
        loss: "rank" or "dpo".
        reward: "hit" or "tail".
        rounds: how often answers are mined anew.
        prefixes: training prefixes a round.
    """

    loss: str = "rank"
    reward: str = "hit"
    rounds: int = 3
    prefixes: int = 3000
    learning_rate: float = 2e-4
    seed: int = 0

    def __post_init__(self):
        for name, value, known in (("--align", self.loss, LOSSES), ("--reward", self.reward, REWARDS)):
            if value not in known:
                raise MindRecError(f"{name} {value!r} is not one of {', '.join(known)}")
        if self.rounds < 1 or self.prefixes < 1:
            raise MindRecError(f"{self.rounds} rounds of {self.prefixes} prefixes align nothing; both are from 1 up")


def item_log_p(
    model: CompactDenoiser, table: CodeTable, histories: Sequence[Sequence[int]], rows_PK: torch.Tensor
) -> torch.Tensor:
    """Log-probability of items by the tokens alone, from left to right over legal codes, (P, K); with a graph.

    Over all items that a history leaves, the probabilities sum to 1.
    """
    P, K, L = *rows_PK.shape, len(model.level_sizes)
    kept = [torch.tensor(h[-model.max_history :]) for h in histories]
    read_PH = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True).to(rows_PK.device)
    length_P = torch.tensor([len(h) for h in kept], device=rows_PK.device)
    if model.reader is None:
        with torch.no_grad():
            states_PHD, _ = model.encode_states(read_PH)
    else:
        states_PHD = model.reader.states(read_PH, model.tokens_NL)
    last_PKD = states_PHD[torch.arange(P), length_P - 1][:, None].expand(-1, K, -1)
    codes_PKL = model.levels.codes(model.tokens_NL[rows_PK])
    states_PKLL = codes_PKL[:, :, None].repeat(1, 1, L, 1)
    states_PKLL[..., torch.ones(L, L, dtype=torch.bool, device=rows_PK.device).triu()] = MASKED
    filled, after = states_PKLL.flatten(1, 2), length_P[:, None].expand(P, K * L)
    hidden_PKLLD = model.block_states(states_PHD, filled, after).unflatten(1, (K, L))
    allowed_PN = torch.ones(P, model.n_items, dtype=torch.bool, device=rows_PK.device)
    for n, history in enumerate(() if model.config.repeats else histories):
        allowed_PN[n, list(history)] = False
    allowed_SN, total_PK = allowed_PN.repeat_interleave(K, 0), 0.0
    for level in range(L):
        logits_PKC = model.level_logits(hidden_PKLLD[:, :, level, level], last_PKD, level)
        agree_SN = table.consistent(states_PKLL[:, :, level].flatten(0, 1)) & allowed_SN
        legal_PKC = (table.sum_by_code(agree_SN.float(), level) > 0).view(logits_PKC.shape)
        log_p = logits_PKC.masked_fill(~legal_PKC, -1e9).log_softmax(-1)
        total_PK = total_PK + log_p.gather(-1, codes_PKL[:, :, level, None])[..., 0]
    return total_PK


@dataclass(frozen=True)
class Pairs:
    """Mined answers: a better one of each prefix, and worse ones, -1 where there are fewer."""

    histories: list[tuple[int, ...]]
    better_P: torch.Tensor
    worse_PR: torch.Tensor


class _Phase:
    """State that the rounds share: the model, its decode settings, and the rewards."""

    def __init__(self, checkpoint: Checkpoint, data: PreparedData, config: AlignConfig):
        self.model, self.config, self.data = checkpoint.denoiser, config, data
        self.table, self.device = code_table(self.model), self.model.tokens_NL.device
        self.index = ItemIndex(self.model.tokens_NL, checkpoint.tokenizer.layout)
        self.decode = DecodeConfig(
            beam_size=BEAMS, evidence="off", order="left_to_right", exclude_seen=not self.model.config.repeats
        )
        loss = dict((checkpoint.training or {}).get("config", {}).get("loss", {}))
        loss.pop("dense_weight", None)  # recorded by earlier releases; it was always 1
        self.loss_config = LossConfig(**loss)
        self.sequences = [s for s in training_sequences(data.interactions) if len(s) >= 2]
        self.counts_N = item_counts(data.interactions)
        popular = np.argsort(-self.counts_N, kind="stable")[: max(1, round(TAKEN_BY_ALL * len(self.counts_N)))]
        self.taken_by_all = set(popular.tolist())
        self.held_out = validation_cases(data, CALIBRATION_USERS, config.seed + 2)

    def measure(self) -> dict[str, float]:
        """The tokens alone on validation: NDCG@10, Hit@10 and the reward's own measure."""
        rows_UK = rank(self.model, self.index, self.held_out, self.decode).rows
        targets = np.array([case.target for case in self.held_out])
        ranks = gold_ranks(rows_UK, targets)
        values = {"hit@10": float(hit_at_k(ranks, 10).mean()), "ndcg@10": float(ndcg_at_k(ranks, 10).mean())}
        values["tail_hit@10"] = reach(rows_UK[:, :10], targets, self.counts_N)["tail_hit@10"] or 0.0
        return {name: round(value, 5) for name, value in values.items()}

    def mine(self, number: int) -> Pairs:
        """Decode a round's prefixes with the model as it is."""
        rng = np.random.default_rng(self.config.seed * 100_003 + number)
        prefixes = []
        for n in rng.permutation(len(self.sequences)):
            rows = self.sequences[n].tolist()
            cut = int(rng.integers(1, len(rows)))
            new = rows[cut] not in rows[:cut] or self.model.config.repeats
            if new and (self.config.reward == "hit" or rows[cut] not in self.taken_by_all):
                prefixes.append(Case(str(n), tuple(rows[:cut]), rows[cut]))
            if len(prefixes) == self.config.prefixes:
                break
        beams = rank(self.model, self.index, prefixes, self.decode).rows.tolist()
        drawn = [rng.permutation(self._worse(*pair)).tolist() for pair in zip(prefixes, beams, strict=True)]
        worse = [[*map(int, rows), *[-1] * RIVALS][:RIVALS] for rows in drawn]
        kept = [n for n, rows in enumerate(worse) if rows[0] >= 0]
        if not kept:
            raise MindRecError("no prefix has a worse answer among its beams: there is nothing to align")
        better = torch.tensor([prefixes[n].target for n in kept])
        return Pairs([prefixes[n].history for n in kept], better, torch.tensor([worse[n] for n in kept]))

    def _worse(self, case: Case, rows: Sequence[int]) -> list[int]:
        """The beams that the better answer is to be ahead of."""
        wrong = [row for row in rows if row >= 0 and row != case.target]
        if self.config.reward == "tail":
            return [row for row in wrong if row in self.taken_by_all]
        return wrong if case.target in rows else []

    def log_p(self, pairs: Pairs, at: torch.Tensor) -> torch.Tensor:
        """Of the better answer and the worse ones of some prefixes, (P, 1 + R); -inf where there is none."""
        rows_PK = torch.cat([pairs.better_P[at, None], pairs.worse_PR[at]], 1).to(self.device)
        log_p_PK = item_log_p(self.model, self.table, [pairs.histories[n] for n in at.tolist()], rows_PK.clamp(min=0))
        return log_p_PK.masked_fill(rows_PK < 0, -torch.inf)

    def loss(self, log_p_PK: torch.Tensor, frozen_PK: torch.Tensor | None) -> torch.Tensor:
        """The alignment's part of a step's loss."""
        if frozen_PK is None:
            return margin_loss(log_p_PK[:, 0], log_p_PK[:, 1:], MARGINS)
        return preference_loss(log_ratio(*log_p_PK[:, :2].T, *frozen_PK[:, :2].T), BETA)

    def round(self, number: int, optimizer: torch.optim.Optimizer, *, progress: bool) -> float:
        """Mine, then one step for each part of the pairs; the mean of the alignment's loss."""
        pairs, model, losses = self.mine(number), self.model, []
        seed = self.config.seed * 100_003 + number
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        parts = torch.randperm(len(pairs.histories), generator=generator).split(STEP_PREFIXES)
        frozen = [None] * len(parts)
        if self.config.loss == "dpo":
            with torch.no_grad():
                frozen = [self.log_p(pairs, at) for at in parts]
        ordinary = batches(
            self.sequences, model.max_history + 1, STEP_TARGETS, seed, ordered=self.data.interactions.ordered
        )
        model.train()
        steps = progress_bar(list(zip(parts, frozen, strict=True)), desc=f"align round {number + 1}", shown=progress)
        for (at, before), windows in zip(steps, ordinary, strict=False):
            extra = self.loss(self.log_p(pairs, at), before)
            same = block_loss(model, self.table, windows.to(self.device), self.loss_config, generator, dense=False)
            optimizer.zero_grad(set_to_none=True)
            (same.loss + extra).backward()
            torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            losses.append(float(extra.detach()))
        model.eval()
        return float(np.mean(losses))


def align_checkpoint(
    folder: Path,
    data: PreparedData,
    out: Path,
    config: AlignConfig,
    running: Running = USUAL,
) -> Checkpoint:
    """Align, keep the round that moves the reward the most, weigh again, save to `out`.

    A round counts whose tokens have no lower NDCG@10 on validation than those of the start.

    Raises:
        MindRecError: no round counts, and nothing is written; the checkpoint cannot be aligned on this data.
    """
    out = check_replaceable(out, FOLDER)
    source = load_checkpoint(folder, running.device)
    _check(source, data, folder)
    phase, measure = _Phase(source, data, config), {"hit": "hit@10", "tail": "tail_hit@10"}[config.reward]
    trained = {n: p.requires_grad_(not source.denoiser.is_dense(n)) for n, p in source.denoiser.named_parameters()}
    trained = {name: weight for name, weight in trained.items() if weight.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    records, best, weights = [{"round": 0} | phase.measure()], None, None
    running.report(records[0])
    for number in range(config.rounds):
        loss = phase.round(number, optimizer, progress=running.progress)
        records.append({"round": number + 1, "loss": round(loss, 5)} | phase.measure())
        running.report(records[-1])
        held = records[-1]["ndcg@10"] >= records[0]["ndcg@10"] and records[-1][measure] > records[0][measure]
        if held and (best is None or records[-1][measure] > best[measure]):
            best, weights = records[-1], {name: weight.detach().clone() for name, weight in trained.items()}
    if best is None:
        raise MindRecError(
            f"no round of --align {config.loss} moved {measure} on validation ({records[0][measure]:.4f}) without "
            "losing NDCG@10; nothing is written: try more rounds, the other loss or another reward"
        )
    with torch.no_grad():
        for name, weight in trained.items():
            weight.copy_(weights[name])
    about = {"of": folder.name, **asdict(config), "rounds": records, "kept": best}
    return _saved(source, data, out, about, running.command)


def _check(source: Checkpoint, data: PreparedData, folder: Path) -> None:
    if source.denoiser.kind != "compact" or source.denoiser.adds_up:
        raise MindRecError(f"{folder} cannot be aligned: its block does not score code by code; give one that does")
    if source.catalog.fingerprint != data.catalog.fingerprint:
        raise MindRecError(
            f"{folder} is of catalog {source.catalog.fingerprint}, the data is {data.catalog.fingerprint}; give the "
            "data that it was trained on"
        )


def _saved(source: Checkpoint, data: PreparedData, out: Path, about: dict, command: str) -> Checkpoint:
    """Weigh the tokens again beside item evidence, and save."""
    record = dict(source.training or {})
    source.denoiser.requires_grad_(True).eval()
    sequences = training_sequences(data.interactions)
    weights = weigh(source.denoiser, source.tokenizer, data, sequences, source.decode, record.get("seed", 0))
    training = record | weights | {"command": command, "aligned": about}
    checkpoint = replace(source, name=out.name, training=training, card=model_card(out.name, data, training))
    checkpoint.save(out)
    return checkpoint
