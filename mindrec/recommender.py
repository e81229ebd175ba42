"""The front door: a checkpoint folder in, recommendations with their complete trace out."""

import math
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch

from mindrec.abilities import Abilities, History
from mindrec.checkpoint import Checkpoint, load_checkpoint
from mindrec.data.histories import id_text, item_texts
from mindrec.decoding.beam_search import Step, answers
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.dispatch import decode
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.rethink import rethink
from mindrec.errors import MindRecError
from mindrec.explanation import Explanation, explain_item
from mindrec.model.denoiser import HistoryCache
from mindrec.recommendation import Recommendation, Recommended, answer_notes
from mindrec.recording.mentioned_codes import mentioned_codes
from mindrec.recording.recorder import records
from mindrec.recording.vote_ranks import record_votes
from mindrec.system.hub import download, looks_like_repo, upload
from mindrec.text.text_search import TextSearch, text_embedder
from mindrec.trace.records import DecodeStep, DecodeTrace, Gold, ItemName, LevelName, Result, Rethink, Votes, six_digits

SOON = 0.2
"""Seconds within which the steps of a compact denoiser are recorded together; a large one's are recorded one by one."""


class Decoding:
    """One batch of histories on its way: iterate to run it, a step at a time, then ask for each user's result.

    Attributes:
        recorded: the trace steps of each user so far.
        users: those still recorded; take one out and no more work is done for its trace.
    """

    def __init__(self, recommender: "Recommender", rows, config: DecodeConfig, gold, trace: bool, cache):
        self.recommender, self.rows, self.config, self.gold, self.trace = recommender, rows, config, gold, trace
        self.recorded: list[list[DecodeStep]] = [[] for _ in rows]
        self.users = set(range(len(rows)))
        self._cache, self._last, self._elapsed = cache, None, 0.0

    def __iter__(self) -> Iterator[int]:
        """Run the search; yields the number of each step. Steps that come fast are recorded together, later on."""
        started = recorded = time.perf_counter()
        soon, steps = SOON if self.recommender.denoiser.kind == "compact" else 0.0, []
        for step in self.recommender.steps(self.rows, self.config, self._cache, full_trace=self.trace):
            steps.append(step)
            if time.perf_counter() - recorded > soon:
                self._record(steps)
                steps, recorded = [], time.perf_counter()
            self._last, self._elapsed = step, (time.perf_counter() - started) * 1000
            yield step.index
        self._record(steps)

    def _record(self, steps: list[Step]) -> None:
        if self.trace and steps:
            for user, step in records(self.recommender.index, steps, self.gold, self.users):
                self.recorded[user].append(step)

    @cached_property
    def _ranked(self) -> list[list[tuple[int, float]]]:
        ranked, scores = answers(self.recommender.index, self._last, len(self.rows), self.config.beam_size)
        return [
            [(row, score) for row, score in zip(rows, of_user, strict=True) if row >= 0]
            for rows, of_user in zip(ranked.tolist(), scores.tolist(), strict=True)
        ]

    def result(self, user: int) -> Recommendation:
        """The answer of one user, once the search has run to its end."""
        r, config, pairs, thought = self.recommender, self.config, self._ranked[user], None
        if config.rethink:
            pairs, thought = rethink(r.denoiser, r.index, self.rows[user], config, pairs)
        items = tuple(
            Recommended(n, row, r.catalog.items[row], score, math.exp(score)) for n, (row, score) in enumerate(pairs, 1)
        )
        results = tuple(Result(f.rank - 1, f.row, six_digits(f.score), six_digits(f.probability)) for f in items)
        built = None
        if self.trace:
            built = r.build_trace(
                config,
                self.rows[user],
                self.recorded[user],
                results,
                self.gold[user],
                self._elapsed,
                thought,
                record_votes(self._last, user),
            )
        return Recommendation(items, built, answer_notes(self.rows[user]))


def _from_files(files: dict[str, bytes], device: str) -> "Recommender":
    """A recommender from the files of a checkpoint folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / "checkpoint" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return Recommender.from_pretrained(Path(folder) / "checkpoint", device)


class Recommender(Abilities):
    """Recommends the next item of a history by masked diffusion.

    >>> recommender = Recommender.from_pretrained("checkpoints/grocery")          # doctest: +SKIP
    >>> recommender.recommend(["tortilla-chips", "shredded-cheese"]).items[0]    # doctest: +SKIP
    """

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self.name, self.catalog, self.tokenizer = checkpoint.name, checkpoint.catalog, checkpoint.tokenizer
        self.denoiser, self.notes = checkpoint.denoiser, checkpoint.notes
        self.default_config = checkpoint.decode
        self.max_history = self.denoiser.max_history
        self.torch_device = next(self.denoiser.parameters()).device
        tokens = torch.from_numpy(self.tokenizer.tokens).to(self.torch_device)
        popularity = None if checkpoint.popularity is None else torch.tensor(checkpoint.popularity)
        self.index = ItemIndex(tokens, self.tokenizer.layout, popularity).to(self.torch_device)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        token: str | bool | None = None,
        revision: str | None = None,
    ) -> "Recommender":
        """Load a checkpoint folder, or a Hub repository by `owner/name`.

        Args:
            token, revision: of the Hub repository; a folder needs neither.

        Raises:
            MindRecError: the checkpoint is missing, damaged or mixed up; the Hub is out of reach.
        """
        if isinstance(path, str) and looks_like_repo(path):
            path = download(path, token=token, revision=revision)
        return cls(load_checkpoint(Path(path).expanduser(), device))

    def save_pretrained(self, path: str | Path) -> None:
        """Write the checkpoint folder whole; an older one in its place goes only then."""
        self.checkpoint.save(Path(path).expanduser())

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, token: str | bool | None = None, **commit
    ) -> str:
        """Upload the checkpoint to a Hugging Face model repository; the address of the commit.

        Args:
            private: whether a new repository is private; None is the account's default.
            token: a token that may write; the one of `hf auth login` without.
            commit: commit_message, commit_description, revision, create_pr.

        Raises:
            MindRecError: see mindrec.system.hub.upload.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(Path(folder) / "checkpoint")
            return upload(repo_id, Path(folder) / "checkpoint", private=private, token=token, **commit)

    def __reduce__(self):
        """Copies and pickles go by the checkpoint's files, so that no module or cache is pickled."""
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "checkpoint"
            self.save_pretrained(saved)
            files = {str(p.relative_to(saved)): p.read_bytes() for p in saved.rglob("*") if p.is_file()}
        return _from_files, (files, str(self.torch_device))

    @property
    def device(self) -> str:
        """The kind of device that decodes: "cpu", "cuda" or "mps"."""
        return self.torch_device.type

    @property
    def examples(self) -> tuple[dict, ...]:
        """The checkpoint's named histories."""
        return self.checkpoint.examples

    def is_cold(self, row: int) -> bool:
        """Whether an item was added after training, so that its tokens alone speak for it."""
        return row >= len(self.catalog) - self.checkpoint.cold

    @cached_property
    def _text_search(self) -> TextSearch:
        embed = text_embedder((self.checkpoint.training or {}).get("text_model"))
        return TextSearch(self.catalog, embed, self.checkpoint.popularity)

    def search(self, query: str, limit: int = 10) -> list[int]:
        """Rows of items whose title, brand or path fits the words, best first."""
        return self._text_search.rows(query, limit)

    def fits(self, query: str, row: int) -> bool:
        """Whether an item found by `search` is near enough to the words to be taken for their meaning."""
        return self._text_search.fits(query, row)

    def search_paths(self, query: str, limit: int = 3) -> list[tuple[str, ...]]:
        """Category paths, of any depth, that fit the words, best first."""
        return self._text_search.paths(query, limit)

    # -- decoding ----------------------------------------------------------------------------------------------------

    def recommend(
        self,
        history: History,
        config: DecodeConfig | Mapping | None = None,
        *,
        target: str | None = None,
        trace: bool = True,
    ) -> Recommendation:
        """Recommend the next item of one history, oldest item first.

        Args:
            history: ids or titles of any number of items, in a list, tuple, array, Series or generator. The model reads
                the last `max_history` of them; none of them is recommended (unless exclude_seen is off). An empty one
                asks what anybody takes: training popularity answers, and the notes of the answer say so.
            config: decode settings; a mapping changes some of the checkpoint's own.
            target: id or title of the true next item, if known; the trace then follows it.

        Raises:
            MindRecError: an unknown item or one whose title several have, settings that exclude each
                other, no item left to recommend.
        """
        return self.recommend_many([history], config, targets=[target], trace=trace)[0]

    def recommend_many(
        self,
        histories: Iterable[History],
        config: DecodeConfig | Mapping | None = None,
        *,
        targets: Iterable[str | None] | None = None,
        trace: bool = True,
    ) -> list[Recommendation]:
        """Decode several histories in one batch; the same answers as one by one. An error names the history."""
        histories = list(histories)
        if not histories:
            return []
        batch = self.decoding(histories, config, targets=targets, trace=trace)
        deque(batch, maxlen=0)
        return [batch.result(user) for user in range(len(histories))]

    def decoding(
        self,
        histories: Iterable[History],
        config: DecodeConfig | Mapping | None = None,
        *,
        targets: Iterable[str | None] | None = None,
        trace: bool = True,
        cache: HistoryCache | None = None,
    ) -> "Decoding":
        """The same step by step; `cache` is that of the histories, where the caller has it already."""
        histories = list(histories)
        targets = [None] * len(histories) if targets is None else list(targets)
        if len(targets) != len(histories):
            raise MindRecError(f"{len(histories)} histories and {len(targets)} targets; give as many, or no targets")
        rows, gold = [], []
        for number, (history, target) in enumerate(zip(histories, targets, strict=True)):
            try:
                rows.append(self.history_rows(history))
                gold.append(None if target is None else self.item_row(target))
            except MindRecError as error:
                raise (MindRecError(f"history {number}: {error}") if len(histories) > 1 else error) from error
        return self.decoding_rows(rows, self.settings(config), gold=gold, trace=trace, cache=cache)

    def explain(self, history: History, item: str, config: DecodeConfig | Mapping | None = None) -> Explanation:
        """Why `item` (id or title) is as likely as it is after a history: mindrec.explanation."""
        return explain_item(self, self.history_rows(history), self.item_row(item), self.settings(config))

    def settings(self, config: DecodeConfig | Mapping | None = None) -> DecodeConfig:
        """The default settings, changed by a mapping (DecodeConfig.laid_over); a config stays as it is."""
        if config is None or isinstance(config, DecodeConfig):
            return config or self.default_config
        return self.default_config.laid_over(config)

    def decoding_rows(
        self,
        rows: Sequence[Sequence[int]],
        config: DecodeConfig | None = None,
        *,
        gold: Sequence[int | None],
        trace: bool = True,
        cache: HistoryCache | None = None,
    ) -> "Decoding":
        """The same for histories and true next items given as item rows, which the caller has checked."""
        return Decoding(self, rows, config or self.default_config, gold, trace, cache)

    def steps(self, rows: Sequence[Sequence[int]], config: DecodeConfig, cache=None, full_trace=True) -> Iterator[Step]:
        """The search itself, for histories of item rows."""
        return decode(
            self.denoiser,
            self.index,
            rows,
            config,
            cache=cache,
            full_trace=full_trace,
        )

    def history_rows(self, history: History) -> list[int]:
        """Check a history given by ids or titles and return its rows, all of them."""
        return [self.item_row(text) for text in item_texts(history)]

    def item_row(self, item) -> int:
        """The row of an item given by id (1001, 1001.0 and "1001" are one) or by a title that no other item has."""
        text = id_text(item)
        if (row := self.catalog.ids.row(text)) is not None:
            return row
        rows = self._rows_of_title.get(text.casefold(), ())
        if len(rows) > 1:
            ids = [self.catalog.items[row].item_id for row in rows]
            more = f" and {len(ids) - 10:,} more" if len(ids) > 10 else ""
            raise MindRecError(f"{text!r} is the title of {len(ids)} items; give one id: {', '.join(ids[:10])}{more}")
        return rows[0] if rows else self.catalog.rows([text])[0]

    @cached_property
    def _rows_of_title(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, item in enumerate(self.catalog.items):
            rows.setdefault(item.title.casefold(), []).append(row)
        return rows

    def build_trace(
        self,
        config: DecodeConfig,
        history: Sequence[int],
        steps: Sequence[DecodeStep],
        results: Sequence[Result],
        gold: int | None,
        elapsed_ms: float | None,
        thought: Rethink | None = None,
        votes: Votes | None = None,
        since: int = 0,
    ) -> DecodeTrace:
        """Join recorded steps with the names of all they mention; of the steps before `since` the caller has them."""
        mentioned = {*history, *(r.row for r in results)} | ({gold} if gold is not None else set())
        if thought is not None:
            mentioned |= {thought.before_row, thought.after_row}
        mentioned |= {b.item for s in steps[since:] for b in s.beams if b.item is not None}
        behind = set().union(*(step.possible.rows() for step in steps[since:] if step.possible is not None))
        return DecodeTrace(
            config=config.to_dict(),
            levels=tuple(LevelName(v.kind, v.name, v.size) for v in self.tokenizer.levels),
            history=tuple(history),
            steps=tuple(steps),
            results=tuple(results),
            model={
                "name": self.name,
                "fingerprint": self.checkpoint.fingerprint,
                "objective": self.denoiser.config.objective,
                "device": self.device,
                "cache_exact": self.denoiser.cache_exact,
            },
            catalog={
                "name": self.catalog.name,
                "fingerprint": self.catalog.fingerprint,
                "items": len(self.catalog),
                "induced": self.catalog.induced,
            },
            labels=self._labels(steps[since:], gold),
            items=tuple(self._item_name(row) for row in sorted(mentioned)),
            gold=None if gold is None else self._gold(gold, config, history, steps, results),
            rethink=thought,
            votes=votes,
            elapsed_ms=None if elapsed_ms is None else six_digits(elapsed_ms),
            notes=(*answer_notes(history), *self.notes),
            titles={str(row): self.catalog.items[row].title for row in sorted(behind - mentioned)},
        )

    def _item_name(self, row: int) -> ItemName:
        item = self.catalog.items[row]
        return ItemName(row, item.item_id, item.title, item.categories, item.brand, self.is_cold(row))

    def _labels(self, steps: Sequence[DecodeStep], gold: int | None) -> tuple[dict[str, str], ...]:
        used = mentioned_codes(steps, self.tokenizer.layout.sizes)
        if gold is not None:
            for codes, code in zip(used, self.tokenizer.encode(gold), strict=True):
                codes.add(code)
        return tuple(
            {str(code): level.labels[code] for code in sorted(codes)}
            for level, codes in zip(self.tokenizer.levels, used, strict=True)
        )

    def _gold(self, gold: int, config: DecodeConfig, history, steps, results) -> Gold:
        """The fate of the true next item. One that the search rules out was never alive, so it died at no step."""
        one = torch.tensor([0, gold], device=self.torch_device)
        excluded = not bool(rule_out(self.index, [history], config).allows(one[:1], one[1:]))
        rank = next((r.rank for r in results if r.row == gold), None)
        died = next((s.index for s in steps if s.gold is not None and s.gold.beams == 0 and not excluded), None)
        margin = steps[died].gold.margin if died is not None else None
        return Gold(gold, self.tokenizer.encode(gold), rank, died, margin, excluded)
