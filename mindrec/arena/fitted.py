"""Fitted methods as files, so that the app can open them: one safetensors file each, with its settings as metadata.

Only methods that open without their training data are kept: those whose weights alone say what the items are.
"""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mindrec.arena.fitting import NeuralMethod
from mindrec.arena.method import Task
from mindrec.arena.methods import method_type
from mindrec.data.catalog import Catalog, Interactions, PreparedData, Ragged
from mindrec.errors import MindRecError
from mindrec.system.files import atomic_path

FORMAT = "1"
KEPT = ("fmrec", "sasrec", "bsarec", "genrec", "cadirec")
"""Methods that need nothing of the training data but the number of items."""


def save_method(method: NeuralMethod, name: str, path: Path, about: dict) -> None:
    """Write a fitted method.

    Args:
        about: how it was trained, for a reader: JSON.
    """
    task = method.task
    weights = {key: value.detach().cpu().contiguous() for key, value in method.state_dict().items()}
    settings = {"max_history": task.max_history, "seed": task.seed, "exclude_seen": task.exclude_seen}
    metadata = {"format": FORMAT, "method": name, "catalog": task.data.catalog.fingerprint}
    metadata |= {"settings": json.dumps(settings), "about": json.dumps(about)}
    with atomic_path(path) as part:
        save_file(weights, part, metadata)


def open_method(path: Path, catalog: Catalog) -> tuple[str, NeuralMethod, dict]:
    """A fitted method's name, the method, and how it was trained.

    Raises:
        MindRecError: the file is damaged, of another version, or of another catalog.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        settings, about = json.loads(metadata["settings"]), json.loads(metadata["about"])
        name = metadata["method"]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise MindRecError(f"{path} is no fitted method of the arena ({error}); `arena --out` writes them") from error
    if metadata["format"] != FORMAT or name not in KEPT:
        raise MindRecError(f"{path}: method {name!r}, format {metadata['format']!r}; this release opens {KEPT}")
    if metadata["catalog"] != catalog.fingerprint:
        raise MindRecError(
            f"{path} was trained on catalog {metadata['catalog']}, the checkpoint has {catalog.fingerprint}; "
            "train both on the same data"
        )
    nobody = Interactions((), Ragged(np.zeros(0, np.int32), np.zeros(1, np.int64)), len(catalog))
    method = method_type(name)(Task(PreparedData(catalog, nobody), path.parent, **settings))
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        raise MindRecError(f"{path}: the weights do not fit {name} ({str(error)[:200]}); train it again") from error
    return name, method.eval(), about


def fitted_files(folder: Path) -> list[Path]:
    """Files of fitted methods in a contest's folder, or in a folder of such files; of several seeds the first."""
    paths = sorted(folder.glob("*-*.safetensors")) or sorted((folder / "checkpoints").glob("*-*.safetensors"))
    return list({path.name.rpartition("-")[0]: path for path in reversed(paths)}.values())[::-1]
