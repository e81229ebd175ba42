"""One palette for page, stage and charts: Okabe-Ito hues, light and dark, text at WCAG AA on its own ground."""

OKABE_ITO = {
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
}

LIGHT = {
    "ground": "#f6f7f9",
    "card": "#ffffff",
    "raised": "#f1f4f8",
    "line": "#d8dee7",
    "strong-line": "#8a94a3",
    "ink": "#18212e",
    "muted": "#566173",
    "accent": OKABE_ITO["blue"],
    "on-accent": "#ffffff",
    "accent-soft": "#e3f0f8",
    "new": OKABE_ITO["vermilion"],
    "new-ink": "#a34700",
    "new-soft": "#fdeee3",
    "gold": OKABE_ITO["orange"],
    "gold-ink": "#805500",
    "gold-soft": "#fdf3dc",
    "bad": "#a8322a",
    "bad-soft": "#fcebe9",
    "dim": "#b4bcc8",
    "hatch": "#e3e7ed",
}

DARK = {
    "ground": "#0e131b",
    "card": "#161d28",
    "raised": "#1e2735",
    "line": "#2e3a4b",
    "strong-line": "#6b7a8f",
    "ink": "#e8edf4",
    "muted": "#a3afbf",
    "accent": OKABE_ITO["sky"],
    "on-accent": "#08121c",
    "accent-soft": "#17324a",
    "new": "#ff8c42",
    "new-ink": "#ffb17e",
    "new-soft": "#40281a",
    "gold": OKABE_ITO["orange"],
    "gold-ink": "#f6c65b",
    "gold-soft": "#3a2e12",
    "bad": "#ff9d94",
    "bad-soft": "#41201d",
    "dim": "#485466",
    "hatch": "#232d3b",
}


PROPERTIES = {name: f"--mr-{name}" for name in LIGHT}
"""A palette of CSS property names: the page puts in the colour that the theme has at that moment."""


def css_variables() -> str:
    """The palette as custom properties; Gradio marks dark mode by the class `dark` on an ancestor."""

    def block(selector: str, palette: dict[str, str]) -> str:
        return f"{selector}{{{''.join(f'--mr-{name}:{value};' for name, value in palette.items())}}}"

    return block(".mr", LIGHT) + block(".dark .mr", DARK)


def contrast(first: str, second: str) -> float:
    """WCAG contrast ratio of two #rrggbb colours, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        r, g, b = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
