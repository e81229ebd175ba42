"""The Diagnose tab's questions: tables of cases, their charts, two of them compared, and a sample made on the spot."""

import base64
import logging
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.tabs.asking import config_of, plainly
from app.tabs.behaving import kept_behaviour
from app.tabs.case_pages import case_page
from app.tabs.case_table import FILTERS, MAX_PAGE, PAGE, CaseTable
from app.tabs.handlers import Handlers
from app.tabs.sampling import Sample, sample_name, unlike_default
from app.tabs.slice_table import popular_items, slice_table
from app.views import diagnosis_charts as charts
from app.views.theme import PROPERTIES
from app.words import sentences as text
from app.words.why_words import ERRORS, RESCUES
from mindrec.checkpoint import CASES_FILE
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis import case_pairs
from mindrec.diagnosis import cases as diagnosis
from mindrec.diagnosis.cases import SLICES, Diagnosis, check_belongs, read_cases
from mindrec.diagnosis.rescue import rescued
from mindrec.diagnosis.track_gold import check_followed
from mindrec.errors import MindRecError
from mindrec.evaluation.report import answerable_cases

MAX_SAMPLE = 300
MAX_KEPT = 6
"""Samples kept; the oldest gives way."""
MAX_FLIPPED = 200
FORMATS = ("csv", "parquet", "jsonl")


class Diagnosing:
    """Answers about diagnosed cases. Files are opened at the start; samples are added while the app runs."""

    def __init__(self, handlers: Handlers, files: Sequence[Path] = (), folders: Sequence[Path] = ()):
        """Open the tables of cases.

        Args:
            files: written by `diagnose`.
            folders: of the open checkpoints; one that keeps a table of its own cases brings it along.

        Raises:
            MindRecError: a file cannot be read or is of no checkpoint that is open.
        """
        self.handlers = handlers
        self.tables: dict[str, CaseTable] = {}
        self.kept: set[str] = set()
        self._samples: list[Sample] = []
        self._lock = threading.Lock()
        for path in files:
            self._open(path)
        for folder in folders:
            self._open_kept(Path(folder) / CASES_FILE)

    def _open_kept(self, path: Path) -> None:
        """Open the table that a checkpoint keeps. One of other weights is left alone: it was made before them."""
        if not path.is_file():
            return
        try:
            kept = read_cases(path)
            name = text.DIAGNOSE["kept_name"].format(checkpoint=self._owner(path, kept), cases=f"{len(kept.cases):,}")
            self._open(path, name)
            self.kept.add(name)
        except MindRecError as error:
            logging.getLogger(__name__).warning("left out: %s", error)

    def _open(self, path: Path, name: str | None = None) -> None:
        opened = read_cases(path)
        if name is None:
            name = path.stem if path.stem not in self.tables else str(path)
        checkpoint = self._owner(path, opened)
        self.tables[name] = CaseTable.of(name, checkpoint, opened, self.handlers.recommenders[checkpoint])

    def _owner(self, path: Path, kept: Diagnosis) -> str:
        """The checkpoint that the cases were made with, among those open."""
        why = None
        for name, recommender in self.handlers.recommenders.items():
            try:
                check_belongs(
                    kept, checkpoint=recommender.checkpoint.fingerprint, catalog=recommender.catalog.fingerprint
                )
                return name
            except MindRecError as error:
                why = why or error
        raise MindRecError(f"{path}: {why}")

    def opening(self) -> dict:
        """The facts that the tab opens with."""
        return {
            "tables": [self.about(table) for table in self.tables.values()],
            "filters": list(FILTERS),
            "slices": list(SLICES),
            "formats": list(FORMATS),
            "most_sample": MAX_SAMPLE,
            "behaviour": kept_behaviour(self.handlers),
        }

    def about(self, table: CaseTable) -> dict:
        """A table's name, what it was made of, and the choices that its filters offer."""
        about, recommender = table.diagnosis.about, self.handlers.recommenders[table.checkpoint]
        levels, depth = recommender.tokenizer.levels, len(recommender.index.levels.categories)
        used = [(0, int(code)) for code in np.unique(table.gold[:, 0]) if code >= 0] if depth else []
        return {
            "name": table.name,
            "checkpoint": table.checkpoint,
            "cases": len(table.view),
            "hits": int(table.view["hit"].sum()),
            "k": about["k"],
            "split": about["split"],
            "origin": self._origin(table),
            "sample": self._sample_of(table),
            "key": f"{about['checkpoint']['fingerprint']}.{about['split']}.{about['users']}.{about['seed']}",
            "decoder": unlike_default(DecodeConfig.from_dict(about["decoder"]), recommender.default_config)
            or text.DIAGNOSE["own_settings"],
            "levels": [level["name"] for level in about["levels"]],
            "steps": sorted(int(step) for step in table.view["died_step"].dropna().unique()),
            "categories": depth,
            "sections": [[f"{level}.{code}", levels[level].labels[code]] for level, code in used],
        }

    def _origin(self, table: CaseTable) -> str:
        """Where a checkpoint's own table comes from, in words; nothing of a table that a person has opened or made."""
        about = table.diagnosis.about
        words = text.DIAGNOSE["kept_origin"].format(seed=about["seed"], command=about.get("command") or "diagnose")
        return words if table.name in self.kept else ""

    def _sample_of(self, table: CaseTable) -> dict | None:
        """The recipe of a sample: its size, seed, checkpoint and settings; None for a file."""
        sample = next((job for job in self._samples if job.name == table.name), None)
        if sample is None:
            return None
        return {
            "users": sample.size,
            "seed": sample.seed,
            "checkpoint": sample.checkpoint,
            "config": sample.config.to_dict(),
        }

    # -- questions -----------------------------------------------------------------------------------------------------

    @plainly
    def cases(self, ask: dict) -> dict:
        """One page of the filtered and sorted table."""
        table, rows = self._rows(ask)
        page, size = _whole(ask, "page", 0), min(MAX_PAGE, max(1, _whole(ask, "size", PAGE)))
        page = max(0, min(page, (len(rows) - 1) // size))
        hit = table.view["hit"].to_numpy()[rows]
        return {
            "lines": table.lines(rows[page * size : (page + 1) * size]),
            "found": len(rows),
            "hits": int(hit.sum()),
            "page": page,
            "pages": max(1, -(-len(rows) // size)),
            "names": self._filter_names(table, _filters(ask)),
        }

    @plainly
    def case_charts(self, ask: dict) -> dict:
        """The figures of the filtered table."""
        table, rows = self._rows(ask | {"sort": None})
        if not len(rows):
            return {"figures": {}}
        cases, words = table.diagnosis.cases.iloc[rows], text.CHARTS
        by = ask.get("by") if ask.get("by") in SLICES else SLICES[0]
        recommender, k = self.handlers.recommenders[table.checkpoint], table.diagnosis.about["k"]
        levels = [level["name"] for level in table.diagnosis.about["levels"]]
        parts = diagnosis.slices(cases, by, k, popular=popular_items(recommender))
        figures = {
            "survival": charts.survival_figure(diagnosis.survival_by_step(cases), words, PROPERTIES),
            "lost": charts.lost_figure(diagnosis.lost_at(cases), levels, words, PROPERTIES),
            "causes": charts.counts_figure(diagnosis.causes(cases), text.CAUSE_NAMES, words, PROPERTIES),
            "slices": charts.slices_figure(parts, by, words, PROPERTIES),
            "calibration": charts.calibration_figure(diagnosis.calibration(cases), words, PROPERTIES),
        }
        if cases["error"].notna().any():
            names = {kind: name for kind, (name, _) in ERRORS.items()}
            figures["errors"] = charts.counts_figure(diagnosis.errors(cases), names, words, PROPERTIES)
        if cases["rescue"].notna().any():
            figures["rescues"] = charts.counts_figure(diagnosis.rescues(cases), RESCUES, words, PROPERTIES)
        if categories := recommender.index.levels.categories:
            level = min(max(_whole(ask, "level", 0), 0), categories[-1])
            labels = recommender.tokenizer.levels[level].labels
            pairs = diagnosis.confusion(cases, level, labels)
            if len(pairs):
                figures["confusion"] = charts.confusion_figure(pairs, level, words, PROPERTIES)
        return {"figures": figures, "slices": slice_table(parts, by, k)}

    @plainly
    def case_page(self, ask: dict) -> dict:
        """A table's page about one item or one category: see app.tabs.case_pages."""
        table = self._table(ask)
        return case_page(table, self.handlers.recommenders[table.checkpoint], str(ask.get("name") or ""))

    @plainly
    def case(self, ask: dict) -> dict:
        """Decode one case again, with its file's settings, to be watched at the step where its item was lost."""
        table = self._table(ask)
        number = _whole(ask, "number", -1)
        if not 0 <= number < len(table.view):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="number"))
        row = table.diagnosis.cases.iloc[number]
        line = table.lines(np.array([number]))[0]
        config = DecodeConfig.from_dict(table.diagnosis.about["decoder"])
        target = row["gold"] if isinstance(row["gold"], str) else None
        trace = self.handlers.trace_of(table.checkpoint, list(row["history"]), config, target)
        step = len(trace.steps) - 1 if line["step"] is None else min(line["step"], len(trace.steps) - 1)
        return self.handlers.bundle(trace, table.checkpoint) | {
            "step": step,
            "rescue": self._rescue(table, line["rescue"], config),
            "title": text.DIAGNOSE["case_title"].format(user=line["user"], table=table.name),
            "about": text.case_about(line, table.diagnosis.about["k"], self._titles(table)),
        }

    def _rescue(self, table: CaseTable, rescue: str | None, config: DecodeConfig) -> dict | None:
        """The side of a comparison that would have saved a case: {"config", "without", "words"}; None for none."""
        recommender = self.handlers.recommenders[table.checkpoint]
        change = None if rescue is None else rescued(rescue, config, recommender.tokenizer.n_levels)
        if change is None:
            return None
        changed, without = change
        if without is not None:  # what was left out is still not recommended
            changed = replace(changed, forbid_items=(recommender.catalog.row_of[without],))
        words = text.RESCUE_NAME.format(change=text.rescue_words(rescue, self._titles(table)))
        return {"config": changed.to_dict(), "without": without, "words": words}

    def _titles(self, table: CaseTable) -> dict[str, str]:
        return {item.item_id: item.title for item in self.handlers.recommenders[table.checkpoint].catalog.items}

    @plainly
    def export_cases(self, ask: dict) -> dict:
        """The filtered and sorted table, with every column, as a file."""
        table, rows = self._rows(ask)
        ending = ask.get("format")
        if ending not in FORMATS:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="format"))
        chosen = Diagnosis(table.diagnosis.cases.iloc[rows].reset_index(drop=True), table.diagnosis.about)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"cases.{ending}"
            diagnosis.export(chosen, path)
            content = base64.b64encode(path.read_bytes()).decode()
        return {"name": f"mindrec-{table.name.replace('/', '-')}-{len(rows)}-cases.{ending}", "base64": content}

    @plainly
    def compare_cases(self, ask: dict) -> dict:
        """Two tables paired case by case: the tests, and the cases that flipped."""
        left, right = self._table(ask, "left"), self._table(ask, "right")
        k = left.diagnosis.about["k"]
        compared = case_pairs.compare(left.diagnosis, right.diagnosis, k)
        numbers = {}
        for side, table in (("left", left), ("right", right)):
            pairs = zip(table.view["user_id"], table.view["gold"], strict=True)
            numbers[side] = {pair: number for number, pair in enumerate(pairs)}
        flipped = [
            {
                "user": r.user_id,
                "title": left.view["title"].iloc[numbers["left"][(r.user_id, r.gold)]],
                "better": r.better,
                "left": _side(r.left_rank, r.left_cause, numbers["left"][(r.user_id, r.gold)]),
                "right": _side(r.right_rank, r.right_cause, numbers["right"][(r.user_id, r.gold)]),
            }
            for r in compared.flipped.head(MAX_FLIPPED).itertuples()
        ]
        tests = compared.tests.to_dict(orient="records")
        went = case_pairs.transitions(left.diagnosis, right.diagnosis, k)
        figure = charts.transitions_figure(went, text.OUTCOMES, text.CHARTS, PROPERTIES)
        out = {
            "cases": compared.cases,
            "k": k,
            "tests": tests,
            "flipped": flipped,
            "all_flipped": len(compared.flipped),
        }
        return out | {"figure": figure, "runs": self._runs(left, k)}

    def _runs(self, left: CaseTable, k: int) -> list[dict]:
        """All open tables of one checkpoint's catalog side by side: {"run", "cases", "rate", "ndcg", "causes"}."""
        wanted = left.diagnosis.about["catalog"]["fingerprint"]
        with self._lock:
            same = {t.name: t.diagnosis for t in self.tables.values()}
        same = {name: run for name, run in same.items() if run.about["catalog"]["fingerprint"] == wanted}
        out = []
        for run in case_pairs.side_by_side(same, k).to_dict(orient="records"):
            causes = sorted(((run[cause], name) for cause, name in text.CAUSE_NAMES.items()), reverse=True)
            named = ", ".join(f"{name} {share:.0%}" for share, name in causes if share)
            rate = f"{run['rate']:.1%} ({run['low']:.1%} – {run['high']:.1%})"
            out.append(
                {"run": run["run"], "cases": run["cases"], "rate": rate, "ndcg": f"{run['ndcg']:.4f}", "causes": named}
            )
        return out

    @plainly
    def sample(self, ask: dict) -> dict:
        """Begin to diagnose a sample of test trips, or tell how far one has come: {"job"}, then {"done", "total"}."""
        number = ask.get("job")
        if number is None:
            return self._begin(ask)
        with self._lock:
            if type(number) is not int or not 0 <= number < len(self._samples):
                raise MindRecError(text.NOT_UNDERSTOOD.format(what="job"))
            job = self._samples[number]
        if job.error is not None:
            raise MindRecError(job.error)
        if job.table is None:
            return {"done": job.done, "total": job.total}
        with self._lock:
            self.tables.setdefault(job.table.name, job.table)
            kept = [s for s in self._samples if s.table is not None and s.table.name in self.tables]
            for old in kept[:-MAX_KEPT]:
                del self.tables[old.name]
                old.table, old.chosen, old.error = None, [], text.DIAGNOSE["no_table"].format(name=old.name)
        return {"done": job.total, "total": job.total, "table": self.about(job.table)}

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _begin(self, ask: dict) -> dict:
        name, recommender = self.handlers.name(ask), self.handlers.recommender(ask)
        config = replace(config_of(recommender, ask.get("config")), pins=(), forbid_tokens=(), forbid_items=())
        check_followed(config)
        users = min(MAX_SAMPLE, max(1, _whole(ask, "users", 100)))
        trips = self.handlers.trips(name)
        if trips.ready() is None:
            return {"waiting": trips.waiting()}
        with self._lock:
            seed = _whole(ask, "seed", 0) % 2**31
            called = sample_name(users, seed, config, name, self.handlers)
            known = next((n for n, job in enumerate(self._samples) if job.name == called and job.error is None), None)
            if known is not None:
                return {"job": known, "done": self._samples[known].done, "total": self._samples[known].total}
            if any(job.working for job in self._samples):
                raise MindRecError(text.DIAGNOSE["sample_busy"])
            order = np.sort(np.random.default_rng(seed).permutation(len(trips.cases))[:users])
            answerable, _ = answerable_cases(recommender, [trips.cases[n] for n in order], config)
            job = Sample(called, name, answerable, (users, seed), config, self.handlers)
            self._samples.append(job)
            job.start()
            return {"job": len(self._samples) - 1, "done": 0, "total": job.total}

    def _rows(self, ask: dict) -> tuple[CaseTable, np.ndarray]:
        table = self._table(ask)
        rows = table.chosen(_filters(ask))
        try:
            return table, table.sorted(rows, ask.get("sort"), bool(ask.get("down")))
        except ValueError as error:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="sort")) from error

    def _table(self, ask: dict, key: str = "table") -> CaseTable:
        name = ask.get(key)
        with self._lock:
            if not isinstance(name, str) or name not in self.tables:
                raise MindRecError(text.DIAGNOSE["no_table"].format(name=str(name)[:60]))
            return self.tables[name]

    def _filter_names(self, table: CaseTable, filters: dict) -> dict[str, str]:
        """The filters of categories and items in words: their values are codes and ids."""
        recommender, out = self.handlers.recommenders[table.checkpoint], {}
        levels, catalog = recommender.tokenizer.levels, recommender.catalog
        for key in ("gold", "top"):
            if filters.get(key):
                level, code = map(int, str(filters[key]).split("."))
                out[key] = levels[level].labels[code]
        for key in ("item", "answer"):
            row = catalog.ids.row(str(filters.get(key) or ""))
            if row is not None:
                out[key] = catalog.items[row].title
        return out


def _filters(ask: dict) -> dict:
    filters = ask.get("filters") or {}
    if not isinstance(filters, dict):
        raise MindRecError(text.NOT_UNDERSTOOD.format(what="filters"))
    return filters


def _whole(ask: dict, key: str, otherwise: int) -> int:
    return ask[key] if type(ask.get(key)) is int else otherwise


def _side(rank, cause, number: int) -> dict:
    known = isinstance(rank, (int, np.integer))
    return {"rank": int(rank) if known else None, "cause": cause if isinstance(cause, str) else None, "n": number}
