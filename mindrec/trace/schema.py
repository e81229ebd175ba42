"""JSON Schema of the trace, derived from its dataclasses: `python -m mindrec.trace.schema` writes the file."""

from pathlib import Path

from pydantic.json_schema import GenerateJsonSchema

from mindrec.system.files import write_json
from mindrec.trace.reading import adapter

PATH = Path(__file__).parents[2] / "assets" / "trace.schema.json"


class _Closed(GenerateJsonSchema):
    """Records refuse unknown fields, as their reader does, and are described by their docstrings."""

    def dataclass_schema(self, schema) -> dict:
        description = " ".join(schema["cls"].__doc__.split("\n\n")[0].split())
        return super().dataclass_schema(schema) | {"description": description, "additionalProperties": False}

    def field_title_should_be_set(self, schema) -> bool:
        return False


def trace_schema() -> dict:
    """The schema, one definition a record."""
    schema = adapter().json_schema(schema_generator=_Closed)
    schema["required"].append("version")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "MindRec decode trace"}


if __name__ == "__main__":
    write_json(PATH, trace_schema())
