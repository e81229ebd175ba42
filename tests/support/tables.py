"""Input files written for tests."""

import gzip
import json


def write(path, text, *, gz=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if gz else data)
    return path


def jsonl(folder, items, rows):
    write(folder / "items.jsonl.gz", "\n".join(json.dumps(i) for i in items), gz=True)
    write(folder / "sequences.jsonl.gz", "\n".join(json.dumps(r) for r in rows), gz=True)
    return {"path": str(folder)}
