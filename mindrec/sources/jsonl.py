"""The prepared form as a source: read it, check it, write it again."""

from pathlib import Path

from mindrec.catalog import PreparedData, load_prepared


def load(path: Path, *, category_depth: int | None = 3) -> PreparedData:
    data = load_prepared(path, category_depth=category_depth)
    readme = Path(path) / "README.md"
    notes = readme.read_text(encoding="utf-8") if readme.exists() else f"# {data.catalog.name}\n"
    return PreparedData(data.catalog, data.interactions, data.semantic_ids, notes)
