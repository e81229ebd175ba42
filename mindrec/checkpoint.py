"""A checkpoint folder: weights, tokenizer, catalog and how it was trained. No pickle anywhere.

config.json, model.safetensors, tokenizer.json, catalog.json, training.json, map.json, README.md, cases.parquet,
behaviour.json

`kind` in config.json names the denoiser (mindrec.model.registry). Only trained parameters and counted pairs are stored:
a base's frozen weights stay in the base's folder. A denoiser may add a folder, as "llada" does for its text tokenizer.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from mindrec.data.catalog import Catalog, Item, PreparedData
from mindrec.data.splits import item_counts
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.item_map import FILE as MAP_FILE
from mindrec.item_map import MAX_ITEMS, ItemMap, draw, read_map
from mindrec.model.denoiser import StoredDenoiser
from mindrec.model.registry import denoiser_type
from mindrec.system.devices import pick_device
from mindrec.system.files import FolderKind, put_back, read_json, replace_folder, write_json, write_text
from mindrec.tokens.tokenizer import Tokenizer

FORMAT = 1
CASES_FILE = "cases.parquet"
"""A table of `diagnose` that a checkpoint may keep, for the app to open; training again drops it."""
BEHAVIOUR_FILE = "behaviour.json"
"""The same of `behaviour`."""
FOLDER = FolderKind(
    "a checkpoint",
    ("config.json", "model.safetensors", "tokenizer.json", "catalog.json"),
    ("training.json", "README.md", MAP_FILE, CASES_FILE, BEHAVIOUR_FILE, "text_tokenizer"),
)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a checkpoint folder holds.

    Attributes:
        decode: the default decode settings, chosen on validation.
        notes: what a person must know of the data.
        examples: named histories of item ids, for the app and the README.
        training: data, seed, command, curves, metrics.
        card: README.md.
        fingerprint: digest of the weights and codes; filled in when loaded.
        cold: how many items, the last ones of the catalog, were added after training.
        popularity: how many training sequences hold each item, (N,); None in a checkpoint made before it was kept,
            until `add_popularity` counts it.
        item_map: a point for each item; None in a checkpoint made before it was drawn, until `add_map` draws it, and
            for a catalog that is too large for one.
    """

    name: str
    denoiser: StoredDenoiser
    tokenizer: Tokenizer
    catalog: Catalog
    decode: DecodeConfig
    notes: tuple[str, ...] = ()
    examples: tuple[dict[str, Any], ...] = ()
    training: dict[str, Any] | None = None
    card: str = ""
    fingerprint: str = ""
    cold: int = 0
    popularity: tuple[int, ...] | None = None
    item_map: ItemMap | None = None

    def save(self, folder: Path) -> None:
        """Write the folder whole or not at all. Raises MindRecError where something else than a checkpoint lies."""
        with replace_folder(Path(folder), FOLDER) as out:
            weights = {k: v.detach().cpu().contiguous() for k, v in _stored(self.denoiser).items()}
            save_file(weights, out / "model.safetensors", {"codes_fingerprint": codes_fingerprint(self.tokenizer)})
            self.tokenizer.save(out / "tokenizer.json")
            self.denoiser.save_extras(out)
            write_json(
                out / "config.json",
                {
                    "format": FORMAT,
                    "name": self.name,
                    "kind": self.denoiser.kind,
                    "model": self.denoiser.config.to_dict(),
                    "decode": self.decode.to_dict(),
                    "codes_fingerprint": codes_fingerprint(self.tokenizer),
                    "catalog_fingerprint": self.catalog.fingerprint,
                },
            )
            write_json(out / "catalog.json", _catalog_json(self), indent=None)
            write_json(out / "training.json", self.training or {})
            if self.item_map is not None:
                self.item_map.save(out)
            write_text(out / "README.md", self.card)


def load_checkpoint(folder: Path, device: str = "auto") -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        MindRecError: a file is missing, damaged or of another version, or weights, tokenizer and catalog do not
            belong together; the message says what differs.
    """
    loaded = _without_map(Path(folder), device)
    return replace(loaded, item_map=read_map(Path(folder), len(loaded.catalog)))


def _without_map(folder: Path, device: str) -> Checkpoint:
    """A checkpoint folder but for its map, which may be damaged and is drawn again without training."""
    put_back(folder)
    if not folder.is_dir():
        raise MindRecError(f"checkpoint {folder} is not a folder; `python -m mindrec train --out {folder}` makes one")
    config = read_json(folder / "config.json", "checkpoint")
    if config.get("format") != FORMAT:
        raise MindRecError(f"{folder}: checkpoint format {config.get('format')!r}; this release reads {FORMAT}")
    raw = read_json(folder / "catalog.json", "catalog")
    try:
        denoiser_class = denoiser_type(config["kind"])
        model_config = denoiser_class.config_type(**config["model"])
        described = _described(config, raw)
    except MindRecError as error:
        raise MindRecError(f"{folder}: config.json: {error}") from error
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise MindRecError(f"{folder}: config.json or catalog.json is damaged ({error}); restore the files") from error
    tokenizer, catalog = Tokenizer.load(folder / "tokenizer.json"), described["catalog"]
    _check_together(folder, config, tokenizer, catalog)
    titles = [item.title for item in catalog.items]
    denoiser = denoiser_class.from_folder(folder, model_config, tokenizer, titles)
    digest = _load_weights(denoiser, folder / "model.safetensors", config["codes_fingerprint"])
    denoiser.to(pick_device(device)).eval()
    record, card = folder / "training.json", folder / "README.md"
    return Checkpoint(
        **described,
        denoiser=denoiser,
        tokenizer=tokenizer,
        training=read_json(record, "training record") if record.exists() else None,
        card=card.read_text(encoding="utf-8") if card.exists() else "",
        fingerprint=digest,
    )


def _described(config: dict, raw: dict) -> dict[str, Any]:
    """The fields of a checkpoint that config.json and catalog.json hold. Raises MindRecError, or for damaged files
    KeyError, TypeError, IndexError, AttributeError or ValueError."""
    catalog = Catalog(
        tuple(Item(i[0], i[1], tuple(i[2]), i[3]) for i in raw["items"]),
        name=raw["name"],
        induced=raw["induced"],
        category_depth=raw["category_depth"],
    )
    cold = int(raw.get("cold", 0))
    if not 0 <= cold < len(catalog):
        raise ValueError(f"cold is {cold}, 0 to {len(catalog) - 1} is possible")
    return {
        "name": config["name"],
        "catalog": catalog,
        "decode": DecodeConfig.from_dict(config["decode"]),
        "notes": tuple(raw.get("notes", ())),
        "examples": tuple(raw.get("examples", ())),
        "cold": cold,
        "popularity": _popularity(raw.get("popularity"), len(catalog)),
    }


def add_popularity(folder: Path, data: PreparedData) -> Checkpoint:
    """Count how often training took each item, and keep the counts in a checkpoint that lacks them.

    Only catalog.json is written again; weights and fingerprints stay. Items added after training count 0.

    Raises:
        MindRecError: the data is not that of the checkpoint's training.
    """
    checkpoint = load_checkpoint(folder, "cpu")
    trained = checkpoint.catalog.items[: len(checkpoint.catalog) - checkpoint.cold]
    if [item.item_id for item in trained] != [item.item_id for item in data.catalog.items]:
        raise MindRecError(
            f"{folder} was trained on {len(trained):,} items, the data has {len(data.catalog):,} or other ones; "
            "give the data it was trained on"
        )
    counts = (*item_counts(data.interactions).tolist(), *[0] * checkpoint.cold)
    counted = replace(checkpoint, popularity=counts)
    write_json(Path(folder) / "catalog.json", _catalog_json(counted), indent=None)
    return counted


def with_map(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the map of its items, drawn from what they have become in training."""
    tokenizer = checkpoint.tokenizer
    vectors_ND = item_vectors(checkpoint.denoiser, tokenizer)
    return replace(checkpoint, item_map=draw(vectors_ND, tokenizer.codes[:, : tokenizer.n_category_levels]))


def add_map(folder: Path) -> Checkpoint:
    """Draw the map of a checkpoint folder's items and keep it there. Only map.json is written; weights stay.

    Raises:
        MindRecError: the catalog is too large for a map.
    """
    drawn = with_map(_without_map(Path(folder), "cpu"))
    if drawn.item_map is None:
        raise MindRecError(f"{folder} has {len(drawn.catalog):,} items; a map is drawn of at most {MAX_ITEMS:,}")
    drawn.item_map.save(folder)
    return drawn


def item_vectors(denoiser: StoredDenoiser, tokenizer: Tokenizer) -> np.ndarray:
    """Vectors of all items, float32 (N, D): the denoiser's own, or the sum of an item's token embeddings."""
    with torch.inference_mode():
        if denoiser.kind == "compact":
            return denoiser.item_vectors().float().cpu().numpy()
        tokens = torch.from_numpy(tokenizer.tokens).to(denoiser.token_embedding.device)
        return denoiser.token_embedding[tokens].sum(1).float().cpu().numpy()


def set_decode(folder: Path, **changes) -> Checkpoint:
    """Change default decode settings of a checkpoint. Only config.json is written again; weights stay."""
    checkpoint = load_checkpoint(folder, "cpu")
    changed = replace(checkpoint, decode=replace(checkpoint.decode, **changes))
    raw = read_json(Path(folder) / "config.json", "checkpoint")
    write_json(Path(folder) / "config.json", raw | {"decode": changed.decode.to_dict()})
    return changed


def note_training(folder: Path, **values) -> None:
    """Add values to the training record of a checkpoint. Only training.json is written again."""
    record = Path(folder) / "training.json"
    write_json(record, (read_json(record, "training record") if record.exists() else {}) | values)


def _popularity(raw, n_items: int) -> tuple[int, ...] | None:
    """The counts as catalog.json holds them. Raises ValueError for others than a whole number from 0 an item."""
    if raw is None:
        return None
    if len(raw) != n_items or not all(type(count) is int and count >= 0 for count in raw):
        raise ValueError(f"popularity is not {n_items} whole numbers from 0 up")
    return tuple(raw)


def _stored(denoiser) -> dict[str, torch.Tensor]:
    """Tensors that a checkpoint stores: trained parameters (the frozen rest comes from the base) and counted pairs."""
    counted = {k: v for k, v in denoiser.named_buffers() if k.startswith(("transitions.", "item_item."))}
    return {k: v for k, v in denoiser.named_parameters() if v.requires_grad} | counted


def codes_fingerprint(tokenizer: Tokenizer) -> str:
    """Digest of every item's codes and the level sizes: what the weights were trained to name."""
    return hashlib.sha256(json.dumps([tokenizer.level_sizes, tokenizer.codes.tolist()]).encode()).hexdigest()[:16]


def _catalog_json(checkpoint: Checkpoint) -> dict:
    catalog = checkpoint.catalog
    return {
        "name": catalog.name,
        "fingerprint": catalog.fingerprint,
        "induced": catalog.induced,
        "category_depth": catalog.category_depth,
        "notes": list(checkpoint.notes),
        "examples": list(checkpoint.examples),
        "cold": checkpoint.cold,
        **({} if checkpoint.popularity is None else {"popularity": list(checkpoint.popularity)}),
        "items": [[i.item_id, i.title, list(i.categories), i.brand] for i in catalog.items],
    }


def weights_digest(folder: Path) -> str:
    """Digest of a checkpoint's weights, without opening it. Raises MindRecError where they cannot be read."""
    try:
        with (Path(folder).expanduser() / "model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise MindRecError(f"checkpoint {folder} has no weights that can be read ({error}); name another") from error


def _check_together(folder: Path, config: dict, tokenizer: Tokenizer, catalog: Catalog) -> None:
    fingerprints = {"catalog_fingerprint": catalog.fingerprint, "codes_fingerprint": codes_fingerprint(tokenizer)}
    for key, value in fingerprints.items():
        if config.get(key) != value:
            raise MindRecError(
                f"{folder}: config.json was written for {key} {config.get(key)!r}, the files give {value!r}; "
                "files of two checkpoints are mixed: restore the folder"
            )
    if tokenizer.catalog_fingerprint != catalog.fingerprint:
        raise MindRecError(
            f"{folder}: tokenizer.json names catalog {tokenizer.catalog_fingerprint!r}, catalog.json is "
            f"{catalog.fingerprint!r}; restore the folder"
        )


def _load_weights(denoiser, path: Path, codes: str) -> str:
    try:
        weights = load_file(path)
        with safe_open(path, "pt") as file:
            trained_on = (file.metadata() or {}).get("codes_fingerprint", codes)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except FileNotFoundError as error:
        raise MindRecError(f"weights: {path} is missing; restore the file or train again") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise MindRecError(f"weights: {path} is damaged ({error}); restore the file or train again") from error
    if trained_on != codes:
        raise MindRecError(
            f"weights: {path} was trained on item codes {trained_on!r}, the tokenizer has {codes!r}; "
            "files of two checkpoints are mixed: restore the folder"
        )
    wanted = {k: tuple(v.shape) for k, v in _stored(denoiser).items()}
    shapes = {k: tuple(v.shape) for k, v in weights.items()}
    if wanted != shapes:
        key = sorted(set(wanted.items()) ^ set(shapes.items()))[0][0]
        raise MindRecError(
            f"weights: {path}: {key!r} is {shapes.get(key)}, config.json asks for {wanted.get(key)}; "
            "files of two checkpoints are mixed: restore the folder"
        )
    denoiser.load_state_dict(weights, strict=False)
    if damaged := denoiser.damage():
        raise MindRecError(f"weights: {path} is damaged ({damaged}); restore the file or train again")
    return digest
