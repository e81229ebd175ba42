"""MindRec as it was published: adapters (LoRA) on a masked diffusion language model, which reads prompts of tokens.

Training, prompts and decoding are those of `train-llada` (mindrec.text_backbone); tokens alone, since a text backbone
has no item evidence. Two differences from the other methods: it has a time of its own, and every epoch is validated
by its default decode.
"""

from dataclasses import replace

import torch

from mindrec.arena.masked_diffusion import MindRec
from mindrec.arena.method import Budget, Report
from mindrec.checkpoint import load_checkpoint
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.text_backbone.backbone import about_base
from mindrec.text_backbone.tuning_presets import LladaPreset, llada_preset
from mindrec.text_backbone.tuning_run import Base, train_llada_checkpoint
from mindrec.training.running import Running

PRESET = "llada-8b"
"""The released settings; without a GPU in float32."""


class BackboneAdapter(MindRec):
    """LoRA on a text backbone of `import-llada` or `import-masked-lm`, by the released recipe."""

    title = "MindRec on a text backbone"
    paper = "arXiv 2511.12597: LoRA of rank 8 on LLaDA-8B, ten history items, four levels of 256 codes"
    evidence = "off"

    def size(self) -> int:
        """Trained numbers: the adapters and the added tokens, not the base."""
        return self._trained

    def fit(self, budget: Budget, report: Report) -> None:
        """Train adapters within the budget.

        Raises:
            MindRecError: the task names no base, or none that was imported.
        """
        base = self.task.base
        if base is None:
            raise MindRecError("method 'backbone' needs --base, a folder that import-llada or import-masked-lm made")
        made = train_llada_checkpoint(
            self.task.data,
            recipe(budget, self.task.seed),
            self.task.folder / f"backbone-{self.task.seed}",
            Base(base, "prefix" if about_base(base).get("shared", True) else "bidirectional"),
            running=Running(report=report, progress=False),
        )
        self._trained = sum(p.numel() for p in made.denoiser.parameters() if p.requires_grad)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.recommender = Recommender(load_checkpoint(self.task.folder / made.name, device))


def recipe(budget: Budget, seed: int) -> LladaPreset:
    """The released settings with the budget's time, epochs and patience."""
    preset = llada_preset(PRESET)
    limits = {"minutes": budget.minutes, "epochs": budget.epochs, "patience": budget.patience, "seed": seed}
    on_gpu = torch.cuda.is_available()
    train = replace(preset.train, checkpointing=on_gpu, **limits)
    return replace(preset, train=train, dtype=preset.dtype if on_gpu else "float32")
