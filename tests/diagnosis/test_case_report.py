"""A diagnosis as one page: true to the table, whole in one file, and no title can become markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
from commands import ours

from mindrec.data.catalog import save_prepared
from mindrec.diagnosis.case_report import CASES, report_page, typical, write_report
from mindrec.diagnosis.cases import summary
from mindrec.diagnosis.kinds import CAUSE_NAMES
from mindrec.evaluation.protocol import Protocol
from mindrec.recommender import Recommender

EVIL = "</td></table><script>alert('x')</script><img src=http://evil.example/x>"


class Tags(HTMLParser):
    """The tags of a page, and the attributes that could load something."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.loads = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "style") and not value.startswith("#")]


def test_the_page_is_whole_and_tells_what_the_table_holds(checkpoint, chain_data, tmp_path):
    save_prepared(chain_data, tmp_path / "data")
    out = tmp_path / "report.html"
    words = ("report", "--checkpoint", checkpoint, "--data", tmp_path / "data", "--users", 30, "--out", out)
    code, said, _ = ours(*words)
    assert code == 0
    assert "30 cases" in said
    page = out.read_text()
    read = Tags(page)
    assert "script" not in read.tags
    assert {"svg", "table", "details"} <= read.tags
    assert not read.loads
    linked = re.findall(r'href="#(case-\d+)"', page)
    assert len(linked) == CASES
    assert all(f'id="{case}"' in page for case in linked)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "report.html"}


def test_a_linked_case_is_played_again_with_the_fate_that_its_line_tells(recommender, checkpoint, chain_data, tmp_path):
    diagnosis = write_report(
        checkpoint, chain_data, tmp_path / "r.html", Protocol(users=30, device="cpu"), progress=False
    )
    page = (tmp_path / "r.html").read_text()
    for n in typical(diagnosis.cases):
        case = diagnosis.cases.iloc[n]
        section = page[page.index(f'<section id="case-{n}">') :].split("</section>")[0]
        beams = [int(n) for n in re.findall(r"; (\d+) can become the true item", section)]
        assert beams == case["gold_beams"][: len(beams)].tolist()
        assert len(beams) == section.count("<details>") > 1
        answers = re.findall(r"<tr><td>(\d+)</td><td>([^<]*)</td><td>[^<]*%</td></tr>", section)
        true = recommender.catalog.items[recommender.item_row(case["gold"])].title
        rank = next((int(place) - 1 for place, title in answers if title == true), None)
        assert rank == (None if pd.isna(case["gold_rank"]) else case["gold_rank"])


def test_titles_are_text_and_counts_are_those_of_the_summary(checkpoint, recommender, chain_data, tmp_path):
    diagnosis = write_report(
        checkpoint, chain_data, tmp_path / "r.html", Protocol(users=30, device="cpu"), progress=False
    )
    kept = recommender.checkpoint
    items = tuple(replace(item, title=f"{EVIL}{n}") for n, item in enumerate(kept.catalog.items))
    page = report_page(diagnosis, Recommender(replace(kept, catalog=replace(kept.catalog, items=items))), EVIL)
    read = Tags(page)
    assert not {"script", "img"} & read.tags
    assert not read.loads
    total = summary(diagnosis)
    assert f"{total['hits']:,} true items among the first 10" in page
    slices = page[page.index("Hit rate by") : page.index("Cases, step by step")]
    assert "%</td>" in slices
    assert not re.search(r"<td>[^<]*e\+\d|<td>0\.\d{3,}", slices), "bounds are whole numbers, rates are percents"
    for cause, misses in total["causes"].items():
        assert re.search(rf">{CAUSE_NAMES[cause]}</text><rect [^>]*/><text [^>]*>{misses:,} \(", page)


def test_cases_are_of_every_cause_in_turn_and_hits_where_misses_are_few():
    causes = ["a"] * 8 + ["b"] * 2 + [None] * 20
    cases = pd.DataFrame({"cause": causes, "gold": ["i"] * 30})
    assert typical(cases) == [0, 8, 1, 9, 2, 3, 4, 5, 6, 7]
    assert typical(cases[6:].reset_index(drop=True)) == [0, 2, 1, 3, 4, 5, 6, 7, 8, 9]
