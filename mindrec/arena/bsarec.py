"""BSARec: SASRec with a low-pass filter along time beside attention.

Shin, Choi, Wi and Park, "An attentive inductive bias for sequential recommendation beyond the self-attention", AAAI
2024, arXiv 2312.10325. The filter is the causal form of mindrec.model.filtered_encoder, so that every prefix is a
sample of one pass; the paper transforms each padded prefix apart. Attention's share is .3, five components count as
slow: the paper's choice for Beauty.
"""

import torch

from mindrec.arena.encoder import FrequencyEncoder
from mindrec.arena.sasrec import SASRec


class BSARec(SASRec):
    """SASRec's scores and loss on another encoder."""

    title = "BSARec"
    paper = "arXiv 2312.10325, the filter in causal form"
    published = "Beauty: Hit@10 .1008, NDCG@10 .0611"

    @staticmethod
    def new_encoder(length: int) -> torch.nn.Module:
        """The encoder of histories."""
        return FrequencyEncoder(length)
