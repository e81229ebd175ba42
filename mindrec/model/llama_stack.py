"""The transformer stack that encoders and block share.

Shape legend: B sequences, R targets a sequence, L levels, D width.
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaModel
from transformers.models.llama.modeling_llama import LlamaMLP

from mindrec.model.attention import ATTENTION


class PartialMLP(LlamaMLP):
    """The last feed-forward of the block, which is most of its work: in training, of the positions that are read."""

    read: torch.Tensor | None = None

    @contextmanager
    def only(self, read_BRL: torch.Tensor | None):
        """Compute the positions of bool (B, R, L) alone inside the block; None: all."""
        self.read = read_BRL
        try:
            yield
        finally:
            self.read = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, R * L, D); zero at positions that are not read."""
        if self.read is None:
            return super().forward(x)
        read = self.read.view(x.shape[:2])
        out = super().forward(x[read])
        return torch.zeros_like(x, dtype=out.dtype).index_put((read,), out)


def llama_stack(config, layers: int, dropout: float) -> LlamaModel:
    """A Llama stack without its vocabulary, with dropout after every feed-forward block.

    Args:
        config: gives `hidden_size`, `intermediate_size` and `heads`.
    """
    model = LlamaModel(
        LlamaConfig(
            vocab_size=1,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            attention_dropout=0.0,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
            attn_implementation=ATTENTION,
            use_cache=False,
        )
    )
    if dropout:
        for layer in model.layers:
            layer.mlp.down_proj.register_forward_hook(lambda m, _, out: F.dropout(out, dropout, m.training))
    return model
