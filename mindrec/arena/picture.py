"""The picture of a contest: accuracy against the time of one answer, as one SVG file without a script."""

import math
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 420, 64, 52, 16, 190


def accuracy_against_time(result: dict) -> str:
    """An SVG of NDCG@10 (up) against milliseconds a user (across, logarithmic), a dot and a name for each method."""
    rows = result["rows"]
    times = [math.log10(max(row["ms_a_user"], 1e-3)) for row in rows]
    low, high = math.floor(min(times)), max(math.ceil(max(times)), math.floor(min(times)) + 1)
    top = max(row["metrics"]["ndcg@10"] for row in rows) * 1.1 or 1.0

    def across(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" role="img">',
        f"<title>NDCG@10 against time on {escape(result['dataset'])}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for power in range(low, high + 1):
        x = across(power)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10.0**power:g}</text>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = up(share * top / 1.1)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share * top / 1.1:.3f}</text>')
    for row, when in zip(rows, times, strict=True):
        x, y = across(when), up(row["metrics"]["ndcg@10"])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#2f6f8f"/>')
        parts.append(f'<text x="{x + 9:.1f}" y="{y + 4:.1f}">{escape(row["title"])}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">milliseconds a user</text>'
    )
    parts.append(f'<text x="14" y="{HEIGHT / 2:.0f}" transform="rotate(-90 14 {HEIGHT / 2:.0f})">NDCG@10</text>')
    return "\n".join([*parts, "</svg>", ""])
