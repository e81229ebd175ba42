"""Results of compare, diagnose and evaluate --cold as a person reads them: rows of a table, and a sentence."""

from collections.abc import Sequence

from mindrec.diagnosis.kinds import CAUSE_NAMES, HIT
from mindrec.evaluation.table import figures, interval, standing

COMPARE_HEAD = ("", "seed", "Hit@1", "Hit@10", "NDCG@10", "denoiser calls", "decode, s")
COLD_HEAD = ("ranked items", "by", "Hit@1", "Hit@10", "NDCG@10")
DIAGNOSE_HEAD = ("why the true item was missed", "cases", "share")
MEASURES = (("hit@1", "Hit@1"), ("hit@10", "Hit@10"), ("ndcg@10", "NDCG@10"))
SIDES = ("left", "right")
FIELDS = {"among_all": "the whole catalog", "among_cold": "cold items alone"}
METHODS = {"model": "model", "dense": "dense head alone", "tfidf": "likeness of texts"}


def compare_rows(result: dict) -> list[tuple[str, ...]]:
    """Cells below COMPARE_HEAD: every checkpoint, the mean of a side that has several, and the ratio."""
    out = []
    for side in SIDES:
        for row in result[side]:
            seed = "" if row["training_seed"] is None else str(row["training_seed"])
            effort = (f"{row['nfe']:.1f}", f"{row['decode_seconds']:.1f}")
            out.append((f"{side}: {row['checkpoint']}", seed, *figures(row), *effort))
        if len(result[side]) > 1:
            mean, spread = result[f"{side}_mean"], result[f"{side}_deviation"]
            cells = (f"{mean[name]:.4f} ± {spread[name]:.4f}" for name, _ in MEASURES)
            out.append((f"{side}, mean ± deviation", "", *cells, "", ""))
    ratio = result["ratio"]
    out.append(("left over right (95 %)", "", *(interval(ratio[name]) or "no hit" for name, _ in MEASURES), "", ""))
    return out


def compare_sentence(result: dict) -> str:
    """Which side is ahead, as far as these users tell."""
    ratio, left = result["ratio"]["ndcg@10"], result["left_mean"]["ndcg@10"]
    said = (
        f"On {result['users']:,} {result['split']} users the left side {standing(ratio, left)} the right one in NDCG@10"
    )
    return f"{said} ({interval(ratio) or 'the right one has no hit'})."


def cold_rows(result: dict) -> list[tuple[str, ...]]:
    """Cells below COLD_HEAD: the cold items asked for among all and alone, then cases as they come."""
    measured = {"model": result["metrics"], **result["baselines"]}
    out = [
        (f"{words}, cold targets", METHODS[method], *figures(measured[method][name]))
        for name, words in FIELDS.items()
        for method in METHODS
    ]
    everyone = result["everyone"]
    everyone_label = f"{FIELDS['among_all']}, {everyone['users']:,} users as they come"
    of = {"model": everyone["metrics"], "dense": everyone["dense"], "tfidf": everyone["tfidf"]}
    return out + [(everyone_label, METHODS[method], *figures(of[method])) for method in METHODS]


def cold_sentence(result: dict) -> str:
    """How well new items are told apart, and what the lift was."""
    items = result["items"]
    model = result["metrics"]["among_cold"]["ndcg@10"]
    text = result["baselines"]["tfidf"]["among_cold"]["ndcg@10"]
    word = "above" if model > text else "below" if model < text else "equal to"
    chosen = ", chosen on validation" if result["lifts_on_validation"] else ""
    return (
        f"{result['users']:,} {result['split']} users want one of {items['cold']:,} cold items beside "
        f"{items['trained']:,} trained ones: among the cold alone the model's NDCG@10 {model:.4f} is {word} that of "
        f"likeness of texts ({text:.4f}); lift {result['lift']:g}{chosen}."
    )


def diagnose_rows(result: dict) -> list[tuple[str, ...]]:
    """Cells below DIAGNOSE_HEAD: the causes that occur, the most frequent first."""
    misses = max(result["misses"], 1)
    causes = sorted(((n, cause) for cause, n in result["causes"].items() if n), key=lambda pair: -pair[0])
    return [(CAUSE_NAMES[cause], f"{n:,}", f"{n / misses:.0%}") for n, cause in causes]


def diagnose_sentences(result: dict, out: object) -> Sequence[str]:
    """Hits, errors of search and of model, what would have saved the misses, and where the table is."""
    said = [
        f"{result['hits']:,} of {result['users']:,} true items are among the first {result['k']}, "
        f"{result['misses']:,} are missed: {_errors(result['errors'])}."
    ]
    saved = {kind: n for kind, n in (result.get("rescues") or {}).items() if n}
    if saved:
        said.append(
            "Smallest changes that save a miss: " + ", ".join(f"{kind} {n:,}" for kind, n in saved.items()) + "."
        )
    if result["nothing_left"]:
        said.append(f"{result['nothing_left']:,} users have every item already and were left out.")
    return [*said, f"The cases are in {out}; the app opens them with --cases."]


def _errors(errors: dict) -> str:
    said = f"{errors['search']:,} by the search, {errors['model']:,} by the model"
    return said + (f", {errors['none']:,} not told apart" if errors.get("none") else "")


RUN_HEAD = ("run", "cases", "hits", "NDCG", "commonest causes")


def run_rows(result: dict) -> list[tuple[str, ...]]:
    """Cells below RUN_HEAD: a line a diagnosis, with the three commonest causes of its misses."""
    rows = []
    for run in result["runs"]:
        causes = sorted(((run[cause], cause) for cause in CAUSE_NAMES if run[cause]), key=lambda pair: -pair[0])
        named = ", ".join(f"{CAUSE_NAMES[cause]} {share:.0%}" for share, cause in causes[:3])
        hits = f"{run['rate']:.1%} ({run['low']:.1%} to {run['high']:.1%})"
        rows.append((run["run"], f"{run['cases']:,}", hits, f"{run['ndcg']:.4f}", named))
    return rows


def transition_sentences(result: dict) -> Sequence[str]:
    """Of each pair: the test of its hits, and the moves that most cases made."""
    said, names = [], {HIT: HIT, **CAUSE_NAMES}
    for pair in result["pairs"]:
        test = next(t for t in pair["tests"] if t["measure"] == f"hit@{result['k']}")
        moved = [t for t in pair["transitions"] if t["left"] != t["right"] and t["cases"]]
        moved.sort(key=lambda move: -move["cases"])
        frequent = ", ".join(f"{names[t['left']]} to {names[t['right']]} {t['cases']:,}" for t in moved[:4]) or "none"
        said.append(
            f"{pair['right']} against {pair['left']}: hit@{result['k']} {test['difference']:+.4f} "
            f"(McNemar p {test['p']:.3g}). Moves: {frequent}."
        )
    return said
