"""The picture of a sweep over guidance: accuracy against coverage, as SVG."""


def guidance_figure(r: dict) -> str:
    """An SVG of NDCG@10, with its interval beside no guidance, against coverage@10: a point for each guidance."""
    width, height, left, right, top, bottom = 680, 320, 130, 20, 20, 50
    rows, base = r["rows"], r["rows"][0]["metrics"]["ndcg@10"]
    spans = [row.get("ndcg@10_to_first", {"low": 1.0, "high": 1.0}) for row in rows]
    low, high = (base * pick(span[end] for span in spans) for pick, end in ((min, "low"), (max, "high")))
    shares = [row["metrics"]["coverage@10"] for row in rows]

    def x(share: float) -> float:
        return round(left + (share - min(shares)) / (max(shares) - min(shares)) * (width - left - right), 1)

    def y(ndcg: float) -> float:
        return round(top + (high - ndcg) / (high - low) * (height - top - bottom), 1)

    def text(at_x: float, at_y: float, words: str, anchor: str = "middle", colour: str = "#333") -> str:
        return f'<text x="{at_x}" y="{at_y}" text-anchor="{anchor}" fill="{colour}">{words}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="13" role="img" aria-label="NDCG@10 against coverage@10 for each value of guidance">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<path d="M{left - 60} {y(base)}H{width - right}" stroke="#999" stroke-dasharray="4 4"/>',
        text(left - 68, y(base) + 4, f"{base:.4f}", "end"),
        text(4, top + 12, "NDCG@10", "start"),
        text((left + width - right) / 2, height - 10, "coverage@10"),
    ]
    for row, span, share in zip(rows, spans, shares, strict=True):
        at, ndcg = x(share), y(row["metrics"]["ndcg@10"])
        parts += [
            f'<path d="M{at} {y(base * span["low"])}V{y(base * span["high"])}" stroke="#0b6e99"/>',
            f'<circle cx="{at}" cy="{ndcg}" r="4" fill="#0b6e99"/>',
            text(at - 7, ndcg - 6, f"w = {row['decoder']['guidance']:g}", "end"),
            text(at, height - bottom + 18, f"{share:.0%}"),
        ]
    return "\n".join([*parts, "</svg>", ""])
