"""Stored decodes with a name, each a file: the page opens on the first one."""

from dataclasses import dataclass
from pathlib import Path

from app.words import sentences as text
from mindrec.errors import MindRecError
from mindrec.system.files import read_json
from mindrec.trace.records import DecodeTrace


@dataclass(frozen=True)
class Story:
    """A stored trace with a name."""

    title: str
    about: str
    trace: DecodeTrace
    kind: str = ""

    def card(self) -> dict:
        """The page's list of stories; a story is offered only where its catalog is open."""
        return {
            "title": self.title,
            "about": self.about,
            "kind": self.kind,
            "catalog": self.trace.catalog.get("fingerprint"),
        }


def load_stories(folder: Path) -> list[Story]:
    """Stories in name order, each a file {"title", "about", "trace"}. Raises MindRecError naming a damaged one."""
    out = []
    for path in sorted(folder.glob("*.json")):
        raw = read_json(path, "story")
        try:
            out.append(
                Story(
                    str(raw["title"]), str(raw["about"]), DecodeTrace.from_dict(raw["trace"]), str(raw.get("kind", ""))
                )
            )
        except (KeyError, MindRecError) as error:
            raise MindRecError(text.DAMAGED_STORY.format(path=path, why=error)) from error
    return out
