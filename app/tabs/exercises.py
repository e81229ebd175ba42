"""Exercises that a card of the course computes with the model: masked states of an item with their losses, and its path
through the codebooks.

Shape legend: S masked states, L levels.
"""

import math

import numpy as np
import torch

from app.words.code_names import gold_names
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

STATES = 6
SEED = 3
TITLES = 3


def masked_states(recommender: Recommender, trace: DecodeTrace) -> list[dict]:
    """Masked states of the true next item, as training draws them, and what the denoiser makes of each.

    Each is {"tokens": [{"level", "label", "p", "nats"}], "loss"}: probability and loss of the true code where it is
    masked, None elsewhere; the state's loss is the mean over its masked tokens. Tokens alone judge, over their level's
    whole vocabulary, as in the training of the shipped grocery checkpoint.
    """
    codes, levels, names = trace.gold.codes, trace.levels, gold_names(trace)
    masked_SL = _drawn_masks(len(codes))
    filled_SL = torch.tensor(codes).masked_fill(torch.from_numpy(masked_SL), -1)
    denoiser = recommender.denoiser
    with torch.inference_mode():
        device = recommender.torch_device
        logits_ST = denoiser.token_logits(denoiser.encode([trace.history]), filled_SL[None].to(device))[0].float().cpu()
    parts = zip(logits_ST.split(denoiser.level_sizes, 1), codes, strict=True)
    log_p = [part.log_softmax(1)[:, code] for part, code in parts]
    states = []
    for number, masked_L in enumerate(masked_SL):
        tokens = []
        for position, masked in enumerate(masked_L):
            nats = -float(log_p[position][number]) if masked else None
            seen = {"level": levels[position].name, "label": names[position]}
            tokens.append(seen | {"p": math.exp(-nats) if masked else None, "nats": nats})
        losses = [token["nats"] for token in tokens if token["nats"] is not None]
        states.append({"tokens": tokens, "loss": sum(losses) / len(losses)})
    return states


def _drawn_masks(levels: int) -> np.ndarray:
    """Masks (S, L), bool: t spread evenly over the states, every token masked with probability t, at least one."""
    rng = np.random.default_rng(SEED)
    t_S = (np.arange(STATES) + 0.5) / STATES
    masked_SL = rng.random((STATES, levels)) < t_S[:, None]
    masked_SL[~masked_SL.any(1), 0] = True
    return masked_SL


def fall(recommender: Recommender, trace: DecodeTrace) -> list[dict]:
    """The first answer's way through the codebooks: how many items each further code leaves.

    A row a level: {"level", "label", "kind", "before", "after", "titles"}, with the titles of a few items left.
    """
    codes_NL, row = recommender.tokenizer.codes, trace.results[0].row
    left, out = np.arange(len(codes_NL)), []
    for position, level in enumerate(recommender.tokenizer.levels):
        code = int(codes_NL[row, position])
        after = left[codes_NL[left, position] == code]
        near = [row, *(int(other) for other in after if other != row)][:TITLES]
        titles = [recommender.catalog.items[other].title for other in near]
        label = level.labels[code] if level.kind == "category" else str(code)
        about = {"level": level.name, "label": label, "kind": level.kind}
        out.append(about | {"before": len(left), "after": len(after), "titles": titles})
        left = after
    return out
