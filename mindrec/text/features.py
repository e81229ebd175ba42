"""Texts as vectors: TF-IDF, or a sentence-transformers model folder that the user has.

Shape legend: N texts, D vector width.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from mindrec.errors import MindRecError
from mindrec.system.files import atomic_path, cache_folder

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts to unit vectors, float32 (N, D); the same text always gives the same vector."""

WORD = r"(?u)\b\w+\b"
WORTH_KEEPING = 500
"""From this many texts on, vectors are kept in the cache folder: a model reads them in minutes, not in seconds."""
PIP = "pip install 'sentence-transformers>=6,<7'"


def text_vectors(texts: Sequence[str], width: int = 64, seed: int = 0, embed: Embed | None = None) -> np.ndarray:
    """Unit vectors of texts, (N, <=width): of `embed`, else of TF-IDF of words, reduced by SVD where wider."""
    if embed is not None:
        vectors = embed(texts)
        return vectors if vectors.shape[1] <= width else reduced(vectors, width, seed)
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2, token_pattern=WORD)
    try:
        matrix = tfidf.fit_transform(texts)
    except ValueError:  # no word occurs twice: nothing to compare items by
        return np.zeros((len(texts), 1), dtype=np.float32)
    return reduced(matrix, width, seed)


def reduced(matrix: np.ndarray | sp.csr_matrix, width: int, seed: int) -> np.ndarray:
    """The rows of a matrix as unit vectors in its `width` strongest directions, (N, <=width); zero rows stay zero."""
    width = min(width, matrix.shape[1] - 1)
    if width < 1 or not (matrix != 0).sum():
        return np.zeros((matrix.shape[0], 1), dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # equal rows have no variance: a share that is not used
        return normalize(TruncatedSVD(width, random_state=seed).fit_transform(matrix)).astype(np.float32)


def text_model(folder: Path) -> Embed:
    """The embedder of a sentence-transformers folder. No code of the folder runs, and nothing is fetched.

    Raises:
        MindRecError: no such folder, no such model in it, or sentence-transformers is not installed.
    """
    folder = Path(folder)
    digest = text_model_digest(folder)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MindRecError(f"--text-model needs sentence-transformers, which is not installed; run `{PIP}`") from error
    try:
        model = SentenceTransformer(
            str(folder), trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except Exception as error:  # whatever is wrong with a folder that others wrote
        raise MindRecError(
            f"{folder} holds no sentence-transformers model that can be read ({str(error)[:200]}); give a folder with "
            "modules.json, config.json, a tokenizer and model.safetensors"
        ) from error

    def embed(texts: Sequence[str]) -> np.ndarray:
        if len(texts) < WORTH_KEEPING:
            return _unit(model, texts)
        key = hashlib.sha256("\0".join([digest, *texts]).encode()).hexdigest()[:24]
        kept = cache_folder() / "text" / f"{key}.npy"
        if not kept.exists():
            with atomic_path(kept) as path, path.open("wb") as stream:
                np.save(stream, _unit(model, texts), allow_pickle=False)
        return np.load(kept, allow_pickle=False)

    return embed


def text_model_digest(folder: Path) -> str:
    """The identity of a text model: a digest of the names and contents of all its files, not of the folder's name.

    Raises:
        MindRecError: no such folder.
    """
    folder, digest = Path(folder).expanduser(), hashlib.sha256()
    if not folder.is_dir():
        raise MindRecError(f"--text-model {folder} is not a folder; give one that holds a sentence-transformers model")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue  # of the system, or of what fetched it
        with path.open("rb") as file:
            digest.update(f"{name.as_posix()}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()[:16]


def _unit(model, texts: Sequence[str]) -> np.ndarray:
    many = len(texts) >= WORTH_KEEPING
    return np.asarray(model.encode(list(texts), normalize_embeddings=True, show_progress_bar=many), dtype=np.float32)
