"""The denoisers that a checkpoint can hold, by the `kind` in its config.json.

A denoiser is named by module and class and imported when a checkpoint needs it, so this room imports none of them, and
a compact model loads without the libraries of a text backbone.
"""

from importlib import import_module

from mindrec.errors import MindRecError

DENOISERS = {
    "compact": ("mindrec.model.compact", "CompactDenoiser"),
    "llada": ("mindrec.text_backbone.llada", "LladaDenoiser"),
}


def denoiser_type(kind: str) -> type:
    """The class of a kind of denoiser; it follows mindrec.model.denoiser.StoredDenoiser.

    Raises:
        MindRecError: no denoiser is of this kind.
    """
    if kind not in DENOISERS:
        raise MindRecError(f"denoiser kind {kind!r}; this release reads {' and '.join(DENOISERS)}")
    module, name = DENOISERS[kind]
    return getattr(import_module(module), name)
