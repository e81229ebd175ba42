"""The "Your data" dialog's questions: a table is uploaded, looked at, prepared, trained on and opened.

Only a local app has them, see app.server.options. The commands `prepare` and `train` do the work, in a process of their
own; one at a time.
"""

import base64
import binascii
import re
import secrets
import shlex
import shutil
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.server.command import Commands
from app.tabs.asking import plainly
from app.tabs.handlers import Handlers
from app.tabs.opening import about, examples
from app.words import own_data_words as words
from app.words import sentences as text
from mindrec.data.catalog import load_prepared
from mindrec.data.splits import cases
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.sources.look import Look, look_at_items, look_at_log
from mindrec.sources.user_columns import LogOptions
from mindrec.training.auto_preset import DENSE_EPOCHS, EPOCHS

MAX_BYTES = 200_000_000
PART_BYTES = 500_000
"""Bytes of a file in one question, so that a large one stays within the rate."""
MAX_COLUMNS = 200
QUICK_EPOCHS = 2
SEPARATORS, ENCODINGS = tuple(words.DIALOG["separators"]), tuple(words.DIALOG["encodings"])
ROLES = tuple(words.DIALOG["roles"])
OF_ITEMS = ("title", "category", "brand")
"""Roles of the log's columns that are an item file's where there is one."""
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass
class _File:
    """An uploaded table: a log, or the item file that lies in a folder within the log's.

    `columns` are those of the last look.
    """

    path: Path
    bytes: int = 0
    columns: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """The source of `prepare` that reads it, by its first bytes."""
        with self.path.open("rb") as stream:
            return "parquet" if stream.read(4) == b"PAR1" else "csv"


class OwnData:
    """Answers the dialog. One for the process.

    Attributes:
        folder: where uploads, prepared data and checkpoints lie until `close`.
        page: what a page is opened with (app.tabs.opening): a new checkpoint joins it, so that a reload knows it too.
    """

    def __init__(self, handlers: Handlers):
        self.handlers = handlers
        self.folder = Path(tempfile.mkdtemp(prefix="mindrec-own-"))
        self.page: dict = {}
        self.job: Commands | None = None
        self.job_key, self.job_epochs = "", 0
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """End what runs, and remove the folder."""
        if self.job is not None:
            self.job.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)

    def opening(self) -> dict:
        """The words and bounds of the dialog."""
        return {"words": words.DIALOG, "most": MAX_BYTES, "part": PART_BYTES}

    # -- questions -----------------------------------------------------------------------------------------------------

    @plainly
    def own_upload(self, ask: dict) -> dict:
        """Take a part of a file: {"name", "data": base64, "at": bytes before it}, and "key" but for the first part.

        The first part of an item file has "log", the key of the log that it is about.
        """
        data, at = ask.get("data"), ask.get("at")
        if not isinstance(data, str) or type(at) is not int or len(data) > 2 * PART_BYTES:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="a part of a file"))
        try:
            raw = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="a part of a file")) from None
        with self._lock:
            key = ask.get("key") if at else self._new(str(ask.get("name", "")), ask.get("log"))
            file = self._file(key)
            if at != file.bytes:
                raise MindRecError(words.OUT_OF_TURN)
            if at + len(raw) > MAX_BYTES:
                raise MindRecError(words.TOO_LARGE.format(most=MAX_BYTES // 1_000_000))
            with file.path.open("ab") as stream:
                stream.write(raw)
            file.bytes += len(raw)
        return {"key": key}

    @plainly
    def own_look(self, ask: dict) -> dict:
        """The findings of `prepare --look`: how the file is read, its columns with examples and roles, and remarks."""
        file = self._file(ask.get("key"))
        try:
            look, roles, header = look_at_log(file.source, file.path, LogOptions(**self._reading(ask)))
        except MindRecError as error:
            raise MindRecError(self._plain(str(error))) from None
        shown = self._shown(file, look)
        return shown | {"roles": shown["roles"] | roles, "header": header}

    @plainly
    def own_look_items(self, ask: dict) -> dict:
        """The findings in an item file: how it is read, its columns with examples and roles, and remarks.

        "item" is the log's column of items: a column of that name holds the ids here too.
        """
        file, item = self._file(ask.get("key")), ask.get("item")
        try:
            return self._shown(file, look_at_items(file.path, LogOptions(item_column=str(item) if item else None)))
        except MindRecError as error:
            raise MindRecError(self._plain(str(error))) from None

    @plainly
    def own_train(self, ask: dict) -> dict:
        """Prepare and train: {"key", "columns": {role: column}, "quick"} with how the file is read.

        With "items", the key of an item file, the columns of title, category and brand are that file's, and
        "item_id" is the one of its ids.
        """
        key = ask.get("key")
        file, quick = self._file(key), ask.get("quick") is True
        base = file.path.parent
        name = self._free_name(file.path.name.split(".")[0])
        data, out = base / "prepared", base / name
        prepare = ["prepare", file.source, "--path", str(file.path), "--out", str(data)]
        prepare += self._column_options(ask, file) + self._item_file(ask) + _reading_options(self._reading(ask))
        train = ["train", "--data", str(data), "--out", str(out)]
        if quick:
            train += ["--dense-epochs", str(QUICK_EPOCHS), "--epochs", str(QUICK_EPOCHS)]
        with self._lock:
            if self.job is not None and not self.job.ended.is_set():
                raise MindRecError(words.BUSY)
            shutil.rmtree(data, ignore_errors=True)
            self.job = Commands([prepare, train], lambda: self._opened(name, out, data), words.ENDED)
            self.job_key, self.job_epochs = secrets.token_hex(8), 2 * QUICK_EPOCHS if quick else DENSE_EPOCHS + EPOCHS
        said = [shlex.join(["python", "-m", "mindrec", *command]) for command in (prepare, train)]
        return {"job": self.job_key, "commands": [self._plain(line) for line in said]}

    @plainly
    def own_poll(self, ask: dict) -> dict:
        """How far the work is: its stage, epochs and output, and once it is done the new checkpoint's card."""
        job = self._job(ask)
        about = {"lines": [self._plain(line) for line in job.lines], "epoch": job.epochs, "epochs": self.job_epochs}
        if not job.ended.is_set():
            return about | {"stage": ("prepare", "train", "opening")[job.at]}
        if job.result is not None:
            return about | {"stage": "done"} | job.result
        return about | {"stage": "stopped"} if job.cancelled else {"error": self._plain(job.error or "")}

    @plainly
    def own_cancel(self, ask: dict) -> dict:
        """End the work."""
        self._job(ask).cancel()
        return {"stopped": True}

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _new(self, name: str, log) -> str:
        """A folder for a file; that of an earlier log is removed unless something was made from it."""
        key = secrets.token_hex(8)
        if log is None:
            self._forget_unused()
            folder = self.folder / key
        else:
            folder = self._file(log).path.parent / f"items-{key}"
        folder.mkdir()
        plain = _NAME.sub("_", Path(name.replace("\\", "/")).name)[-60:].lstrip("._-")
        self._files[key] = _File(folder / (plain or "table"))
        return key

    def _forget_unused(self) -> None:
        busy = self.job is not None and not self.job.ended.is_set()
        for folder in [] if busy else list(self.folder.iterdir()):
            if not (folder / "prepared").exists():
                shutil.rmtree(folder, ignore_errors=True)
        self._files = {key: file for key, file in self._files.items() if file.path.exists()}

    def _shown(self, file: _File, look: Look) -> dict:
        """A look as the page draws it."""
        file.columns = [column.name for column in look.columns]
        shown = [asdict(column) for column in look.columns[:MAX_COLUMNS]]
        return {
            "how": look.how,
            "columns": shown,
            "more": max(0, len(look.columns) - len(shown)),
            "roles": {column.role: column.name for column in reversed(look.columns) if column.role in ROLES},
            "said": [self._plain(line) for line in look.said],
        }

    def _file(self, key) -> _File:
        if not isinstance(key, str) or key not in self._files:
            raise MindRecError(words.NO_FILE)
        return self._files[key]

    def _job(self, ask: dict) -> Commands:
        if self.job is None or ask.get("job") != self.job_key:
            raise MindRecError(words.NOTHING_RUNS)
        return self.job

    @staticmethod
    def _reading(ask: dict) -> dict:
        """Fields of LogOptions from the menus; "" is as it is found."""
        separator, encoding, dates = (ask.get(name) or "" for name in ("separator", "encoding", "dates"))
        if separator not in ("", *SEPARATORS) or encoding not in ("", *ENCODINGS) or dates not in ("", "day", "month"):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="how the file is read"))
        given = {"separator": separator or None, "encoding": encoding or None, "no_header": ask.get("header") == "no"}
        return given | {"day_first": {"day": True, "month": False}.get(dates)}

    def _item_file(self, ask: dict) -> list[str]:
        """Options of the item file, if there is one."""
        if ask.get("items") is None:
            return []
        file, column = self._file(ask["items"]), ask.get("item_id")
        if not isinstance(column, str) or column not in file.columns:
            raise MindRecError(words.BAD_COLUMN.format(column=str(column)[:60]))
        return ["--item-file", str(file.path), f"--item-file-id={column}"]

    def _column_options(self, ask: dict, log: _File) -> list[str]:
        chosen = ask.get("columns")
        if not isinstance(chosen, dict) or not all(isinstance(chosen.get(role, ""), str) for role in ROLES):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="columns"))
        of_items = log if ask.get("items") is None else self._file(ask["items"])
        options = []
        for role in ROLES:
            column = chosen.get(role, "")
            if column and column not in (of_items if role in OF_ITEMS else log).columns:
                raise MindRecError(words.BAD_COLUMN.format(column=column[:60]))
            if role == "time" and not column:
                options.append("--no-time")
            elif column or role in OF_ITEMS:  # without one, none is to be guessed either
                options.append(f"--{'category-columns' if role == 'category' else role + '-column'}={column}")
        return options if chosen.get("category") else [*options, "--induce-tree"]

    def _opened(self, name: str, folder: Path, data: Path) -> dict:
        """Open the new checkpoint beside the others, with test histories to begin with."""
        recommender = Recommender.from_pretrained(folder)
        prepared = load_prepared(data, name=recommender.catalog.name, category_depth=recommender.catalog.category_depth)
        long = sorted(cases(prepared.interactions, "test", 200), key=lambda case: -len(case.history))[:3]
        self.handlers.add(name, recommender, folder, data)
        card = about(self.handlers, name) | {"trips": True}
        histories = [
            {
                "title": words.HISTORY.format(n=n),
                "about": words.HISTORY_ABOUT,
                "items": [self.handlers.item(recommender, row) for row in case.history[-recommender.max_history :]],
            }
            for n, case in enumerate(long, 1)
        ]
        card["examples"] = [*examples(recommender), *histories]
        if self.page:  # in place: Gradio serves this very list
            self.page["checkpoints"].append(card)
        return {"checkpoint": card}

    def _free_name(self, wanted: str) -> str:
        name, n = wanted, 1
        while name in self.handlers.recommenders or name == "prepared" or not name:
            n += 1
            name = f"{wanted or 'data'}-{n}"
        return name

    def _plain(self, line: str) -> str:
        """A line without the folder of the session, which says nothing to a person."""
        return re.sub(re.escape(str(self.folder)) + r"/[0-9a-f]{16}/", "", line)


def _reading_options(reading: dict) -> list[str]:
    flags = [f"--{name}={reading[name]}" for name in ("separator", "encoding") if reading[name]]
    flags += ["--no-header"] if reading["no_header"] else []
    return flags + {True: ["--day-first"], False: ["--month-first"]}.get(reading["day_first"], [])
