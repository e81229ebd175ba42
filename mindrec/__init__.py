"""MindRec: recommend by masked diffusion, coarse to fine (arXiv 2511.12597).

`import mindrec` loads nothing heavy; the names below are imported when they are first used.
"""

from importlib import import_module

__version__ = "0.1.0"

_LAZY = {
    "Recommender": "mindrec.recommender",
    "Catalog": "mindrec.data.catalog",
    "DecodeConfig": "mindrec.decoding.config",
    "DecodeTrace": "mindrec.trace.records",
    "MindRecError": "mindrec.errors",
}
__all__ = ["__version__", *_LAZY]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'mindrec' has no attribute {name!r}; it has {', '.join(__all__)}")
