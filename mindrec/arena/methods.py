"""All methods of the arena, by name. A new one is a file with a mindrec.arena.method.Method, and a line here."""

from importlib import import_module

from mindrec.arena.method import Method
from mindrec.errors import MindRecError

METHODS = {
    "popularity": ("counting", "Popularity"),
    "covisit": ("counting", "CoVisit"),
    "sasrec": ("sasrec", "SASRec"),
    "bsarec": ("bsarec", "BSARec"),
    "fmrec": ("fmrec", "FMRec"),
    "simgr": ("simgr", "SimGR"),
    "genrec": ("genrec", "GenRec"),
    "cadirec": ("cadirec", "CaDiRec"),
    "tiger": ("generative", "Generative"),
    "liger": ("liger", "LIGER"),
    "etegrec": ("etegrec", "ETEGRec"),
    "ltrgr": ("aligned", "LearnToRank"),
    "onerec": ("aligned", "Preferring"),
    "left_to_right": ("masked_diffusion", "LeftToRight"),
    "tokens": ("masked_diffusion", "TokensAlone"),
    "mindrec": ("masked_diffusion", "MindRec"),
    "backbone": ("backbone_adapter", "BackboneAdapter"),
}
NEEDS_BASE = "backbone"
"""The method that joins where a text backbone is given."""


def method_type(name: str) -> type[Method]:
    """The class of a method. Raises MindRecError for a name that is not there."""
    if name not in METHODS:
        raise MindRecError(f"method {name!r} is not one of {', '.join(METHODS)}")
    module, type_name = METHODS[name]
    return getattr(import_module(f"mindrec.arena.{module}"), type_name)
