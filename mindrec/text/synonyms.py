"""Everyday words of groceries, brand names included, and the words of a catalog that mean the same.

They are tried only for a word that no title or category has, so they never stand before a catalog's own words.
"""

SYNONYMS: dict[str, str] = {
    "bin liners": "trash bags",
    "bog roll": "toilet paper",
    "cheerios": "cereal",
    "chips ahoy": "cookies",
    "cigs": "cigarettes",
    "clorox": "bleach",
    "coke": "soda",
    "colgate": "toothpaste",
    "cornflakes": "cereal",
    "crisps": "potato chips",
    "doritos": "tortilla chips",
    "fizzy": "soda",
    "frosties": "cereal",
    "gatorade": "sports drink",
    "gherkins": "pickles",
    "heinz": "ketchup",
    "hummus": "refrigerated dip",
    "kleenex": "facial tissues",
    "lays": "potato chips",
    "leche": "milk",
    "loo": "toilet paper",
    "mince": "ground beef",
    "nappies": "diapers",
    "nappy": "diapers",
    "oreo": "sandwich cookies",
    "oreos": "sandwich cookies",
    "pampers": "diapers",
    "pepsi": "soda",
    "philadelphia": "cream cheese",
    "pop": "soda",
    "porridge": "oatmeal",
    "prawn": "shrimp",
    "prawns": "shrimp",
    "pringles": "potato chips",
    "serviettes": "napkins",
    "snickers": "candy bar",
    "soft drinks": "soda",
    "spag": "spaghetti",
    "sprite": "soda",
    "sweets": "candy",
    "tp": "toilet paper",
    "washing powder": "laundry detergent",
    "wieners": "hot dogs",
}
"""Lower case; a key may be two words."""


def in_catalog_words(query: str, known: frozenset[str]) -> str:
    """A folded query in which every word that the catalog lacks is replaced by what it means, where that is known."""
    words, out = query.split(), []
    while words:
        two, one = " ".join(words[:2]), words[0]
        taken = 2 if len(words) > 1 and two in SYNONYMS else 1
        word = two if taken == 2 else one
        strange = not all(part in known for part in word.split())
        out.append(SYNONYMS.get(word, word) if strange else word)
        words = words[taken:]
    return " ".join(out)
