"""The search that a config names."""

from collections.abc import Iterator, Sequence

from mindrec.decoding.beam_search import Step, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.published import published_search
from mindrec.model.denoiser import Denoiser, HistoryCache


def decode(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    *,
    cache: HistoryCache | None = None,
    full_trace: bool = True,
) -> Iterator[Step]:
    """Steps of `config.algorithm` on B histories of item rows; `cache` spares reading the histories again.

    `full_trace` asks for scores at every open position (a trace needs them), not only where the search branches.
    """
    if config.algorithm == "published":
        return published_search(denoiser, index, histories, config)
    return search(denoiser, index, histories, config, cache=cache, full_trace=full_trace)
