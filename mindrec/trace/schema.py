"""JSON Schema of the trace, derived from its dataclasses: `python -m mindrec.trace.schema` writes the file."""

import dataclasses
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from mindrec.system.files import write_json
from mindrec.trace.records import VERSION, DecodeTrace

PATH = Path(__file__).parents[2] / "assets" / "trace.schema.json"
PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean"}


def trace_schema() -> dict:
    """The schema, one definition a record; unknown fields are refused."""
    definitions: dict[str, dict] = {}
    _describe(DecodeTrace, definitions)
    root = definitions.pop("DecodeTrace")
    root["properties"]["version"] = {"const": VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "MindRec decode trace",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _describe(kind, definitions: dict) -> dict:
    if kind is Any:
        return {}
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_describe(k, definitions) for k in get_args(kind)]}
    if kind is type(None):
        return {"type": "null"}
    if origin is tuple:
        return {"type": "array", "items": _describe(get_args(kind)[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _describe(get_args(kind)[1], definitions)}
    if dataclasses.is_dataclass(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}
            hints = get_type_hints(kind)
            fields = dataclasses.fields(kind)
            definitions[kind.__name__] = {
                "type": "object",
                "description": (kind.__doc__ or "").split("\n\n")[0].strip(),
                "properties": {f.name: _describe(hints[f.name], definitions) for f in fields},
                "required": [f.name for f in fields if f.default is dataclasses.MISSING and f.name != "notes"],
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{kind.__name__}"}
    return {"type": PLAIN[kind]}


if __name__ == "__main__":
    write_json(PATH, trace_schema())
