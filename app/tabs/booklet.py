"""The booklet: all cards of the course, an exercise sheet for the Lab and the answers, as one page to print."""

import re
from collections.abc import Callable, Iterable, Sequence
from html import escape

from app.tabs.exercises import fall, masked_states
from app.tabs.lab import PRESETS
from app.tabs.lesson_cards import CARDS, Card
from app.tabs.lessons import Lessons
from app.words import lab_words
from app.words import sentences as text
from app.words.booklet_words import BOOKLET, EXPERIMENTS
from app.words.code_names import beam_names
from mindrec.lab.dials import Dials
from mindrec.system.settings import menu
from mindrec.trace.records import DecodeTrace

BEAMS = 5
"""Rows of a figure."""
STYLE = """
:root{color-scheme:light}
body{font:16px/1.5 Georgia,serif;max-width:46em;margin:2em auto;padding:0 1em;color:#111;background:#fff}
h1,h2,h3,th,.small{font-family:system-ui,sans-serif}
h1{font-size:2em}h2{font-size:1.45em;margin:0 0 .4em}h3{font-size:1.1em;margin:1em 0 .3em}
section{margin:2.5em 0}figure{margin:1em 0}th{overflow-wrap:normal}.small{font-size:.82em;color:#444}
table{border-collapse:collapse;width:100%;font-size:.8em;margin:.5em 0}
th,td{border:1px solid #999;padding:.2em .4em;text-align:left;overflow-wrap:anywhere}
td.mask{background:repeating-linear-gradient(-45deg,#fff 0 5px,#ddd 5px 7px);color:#444}
td.true{outline:2px solid #b36b00}
ul.options{list-style:none;padding:0}ul.options li::before{content:"\\2610\\00a0"}
.line{border-bottom:1px solid #999;height:3.6em;font-size:.9em}
i.bar{display:inline-block;height:.8em;background:#0072b2;vertical-align:middle;margin-right:.4em}
i.bar,td.mask{print-color-adjust:exact;-webkit-print-color-adjust:exact}
code{font-size:.85em}dt{font-weight:700}
@media print{@page{margin:15mm}body{max-width:none;margin:0;font-size:10pt}.line{height:3em}
.page{break-before:page;margin:0}table,figure,li,.card,.keep{break-inside:avoid}.card{margin:0 0 1.6em}
h1,h2,h3{break-after:avoid}a{color:inherit}}
"""


class Booklet:
    """Makes the booklet of a course, of the declarations that the cards themselves are made of."""

    def __init__(self, course: Lessons):
        self.course = course

    def page(self) -> str:
        """One HTML page that needs nothing else. Raises Busy where a live card's decode finds no free lane."""
        words = BOOKLET
        keys = [shown["key"] for shown in self.course.opening()]
        names = ", ".join(self.course.handlers.recommenders)
        parts = [_tag("h1", words["title"]), _tag("p", words["lede"].format(checkpoint=names))]
        parts += [self._question(number, key) for number, key in enumerate(keys, 1)]
        parts += [_glossary(), _sheet(), _tag("h2", words["answers"], 'class="page"')]
        parts += [self._answer(number, key) for number, key in enumerate(keys, 1)] + [_expected()]
        body = "\n".join(parts)
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(words["title"])}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
            f"<style>{STYLE}</style></head><body>{body}</body></html>"
        )

    def _question(self, number: int, key: str) -> str:
        card, trace, words = self.course.card(key), self.course.trace(key), BOOKLET
        act = CARDS[key].act
        parts = [
            _tag("p", words["act"].format(number=act, title=text.LEARN["acts"].split("|")[act - 1]), 'class="small"'),
            _tag("h2", f"{number}. {text.LESSONS[key]['title']}"),
            _tag("p", _plain(card.body)),
            f"<p><b>{escape(words['given'])}:</b> {escape(_titles(trace) or words['empty'])}</p>",
            *self._figures(key, card, trace, answered=False),
            f"<p><b>{escape(card.ask)}</b></p>",
            _list(card.options),
            _tag("div", words["mine"], 'class="line"'),
        ]
        if formula := text.LESSONS[key].get("formula"):
            parts.append(f'<p class="small">{escape(words["formula"])}: <code>{escape(formula)}</code></p>')
        return f'<section class="card">{"".join(parts)}</section>'

    def _answer(self, number: int, key: str) -> str:
        card, answered = self.course.card(key), self.course.answered(key)
        right = BOOKLET["answer"].format(option=card.options[answered.answer])
        parts = [
            _tag("h3", f"{number}. {text.LESSONS[key]['title']}"),
            f"<p><b>{escape(right)}</b> {escape(answered.because)}</p>",
            *self._figures(key, card, answered.trace, answered=True),
        ]
        return f'<section class="keep">{"".join(parts)}</section>'

    def _figures(self, key: str, card: Card, trace: DecodeTrace, *, answered: bool) -> Iterable[str]:
        """The card's own figure; without what its question asks for, where it is not answered yet."""
        rows = self.course.exercise(key)
        if card.tokens and not answered:
            yield _masking(card)
        elif card.bars:
            yield _bars(card.bars, answered)
        elif rows and card.exercise is masked_states:
            yield _states(rows, answered)
        elif rows and card.exercise is fall and not answered:
            yield _fall(rows)
        elif not card.tokens:
            yield _beams(trace, min(card.then if answered else card.step, len(trace.steps) - 1))


def _tag(name: str, words: str, attributes: str = "") -> str:
    return f"<{name}{' ' if attributes else ''}{attributes}>{escape(words)}</{name}>"


def _list(options: Sequence[str]) -> str:
    return f'<ul class="options">{"".join(_tag("li", option) for option in options)}</ul>'


def _plain(words: str) -> str:
    """A card's body without its links to the glossary."""
    return re.sub(r"\[([^\]|]+)\|\w+\]", r"\1", words)


def _titles(trace: DecodeTrace) -> str:
    titles = {item.row: item.title for item in trace.items}
    return ", ".join(titles[row] for row in trace.history)


def _table(head: Sequence[str], rows: Iterable[str], caption: str = "") -> str:
    """`rows` are cells that are HTML already."""
    names = "".join(_tag("th", name) for name in head)
    named = f"<figcaption class=small>{escape(caption)}</figcaption>" if caption else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<figure>{named}<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></figure>"


def _cell(words: str | None, kind: str = "") -> str:
    """A token; None is a masked one."""
    if words is None:
        return f'<td class="mask">{escape(BOOKLET["mask"])}</td>'
    return _tag("td", words, f'class="{kind}"' if kind else "")


def _masking(card: Card) -> str:
    """The tokens at three times of the noise schedule; every second one stands for the half that is gone."""
    rows = []
    for t, gone in (("0", lambda n: False), ("0.5", lambda n: n % 2 == 1), ("1", lambda n: True)):
        cells = "".join(_cell(None if gone(n) else token["label"]) for n, token in enumerate(card.tokens))
        rows.append(_tag("td", BOOKLET["masked_at"].format(t=t)) + cells)
    return _table(["", *(token["level"] for token in card.tokens)], rows)


def _states(rows: list[dict], answered: bool) -> str:
    """The target's masked states; probabilities and losses once they are answered."""

    def cell(token: dict) -> str:
        if token["p"] is None:
            return _cell(token["label"])
        return _tag("td", text.percent(token["p"]), 'class="mask"') if answered else _cell(None)

    head = [token["level"] for token in rows[0]["tokens"]] + ([BOOKLET["loss"]] if answered else [])
    losses = [_tag("td", f"{row['loss']:.2f}") if answered else "" for row in rows]
    lines = ["".join(map(cell, row["tokens"])) + loss for row, loss in zip(rows, losses, strict=True)]
    return _table(head, lines, BOOKLET["masks"].format(count=len(rows)))


def _fall(rows: list[dict]) -> str:
    lines = [
        _tag("td", f"{row['level']}: {row['label']}")
        + _tag("td", f"{row['before']:,} → {row['after']:,}")
        + _tag("td", ", ".join(row["titles"]))
        for row in rows
    ]
    return _table([BOOKLET["codebook"], BOOKLET["left"], BOOKLET["some"]], lines)


def _bars(values: Sequence[tuple[str, float]], answered: bool) -> str:
    highest = max(value for _, value in values)

    def bar(value: float) -> str:
        if not answered:
            return "<td>?</td>"
        return f'<td><i class="bar" style="width:{12 * value / highest:.2f}em"></i>{value:.3f}</td>'

    return _table(["", BOOKLET["bars"]], [_tag("td", name) + bar(value) for name, value in values])


def _beams(trace: DecodeTrace, number: int) -> str:
    """The best partial answers after a step; the true next item's tokens are framed where the trace knows them."""
    step, gold = trace.steps[number], trace.gold
    shown = step.beams[:BEAMS]

    def row(rank: int, codes: Sequence[int | None]) -> str:
        known = [gold is not None and code is not None and gold.codes[n] == code for n, code in enumerate(codes)]
        names = beam_names(trace, number, rank)
        return "".join(_cell(name, "true" if all(known[: n + 1]) else "") for n, name in enumerate(names))

    values = {"step": number, "steps": len(trace.steps) - 1, "count": len(shown), "beams": len(step.beams)}
    caption = BOOKLET["start"] if number == 0 else BOOKLET["step"].format(**values)
    return _table(
        [level.name for level in trace.levels], [row(rank, beam.codes) for rank, beam in enumerate(shown)], caption
    )


def _glossary() -> str:
    lines = "".join(_tag("dt", name) + _tag("dd", about) for name, about in text.GLOSSARY.values())
    return f'<section class="page">{_tag("h2", BOOKLET["glossary"])}<dl>{lines}</dl></section>'


def _experiments(make: Callable[[int, str], str]) -> str:
    return "".join(make(number, key) for number, key in enumerate(EXPERIMENTS, 1))


def _sheet() -> str:
    words, names = BOOKLET, {field["key"]: field["name"] for field in menu(Dials)}

    def one(number: int, key: str) -> str:
        dials = PRESETS[key]
        named = ", ".join(f"{names.get(dial, dial)} {value}" for dial, value in dials.items()) or words["defaults"]
        link = "./?tab=lab" + ("&lab=" + ",".join(f"{d}:{v}" for d, v in dials.items()) if dials else "")
        title = f"{words['experiment'].format(number=number)}: {lab_words.PRESETS[key]['title']}"
        return (
            f'<div class="keep">{_tag("h3", title)}<p>{escape(words["dials"])}: {escape(named)}. '
            f'<a href="{escape(link)}">{escape(words["open"])}</a></p>{_tag("p", EXPERIMENTS[key])}'
            f"{_tag('div', words['seen'], 'class=line')}</div>"
        )

    head = _tag("h2", words["sheet"]) + _tag("p", words["sheet_lede"])
    return f'<section class="page">{head}{_experiments(one)}</section>'


def _expected() -> str:
    def one(number: int, key: str) -> str:
        title = _tag("h3", BOOKLET["experiment"].format(number=number))
        seen = lab_words.PRESETS[key]["seen"]
        return f'<div class="keep">{title}<p>{escape(BOOKLET["should"])} {escape(seen)}</p></div>'

    return f'<section class="page">{_tag("h2", BOOKLET["sheet"])}{_experiments(one)}</section>'
