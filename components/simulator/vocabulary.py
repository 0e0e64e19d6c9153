"""The invented shop's vocabulary: names that carry the latent vectors."""

from __future__ import annotations

from typing import Final

# category -> (two nouns that titles and queries use, typical price)
CATEGORIES: Final[dict[str, tuple[tuple[str, str], float]]] = {
    "lighting": (("lamp", "lantern"), 60.0),
    "kitchen": (("kettle", "pan"), 45.0),
    "jackets": (("jacket", "parka"), 120.0),
    "shoes": (("boots", "sneakers"), 90.0),
    "bags": (("backpack", "satchel"), 70.0),
    "audio": (("headphones", "speaker"), 110.0),
    "garden": (("planter", "trellis"), 35.0),
    "toys": (("puzzle", "robot"), 25.0),
    "books": (("novel", "atlas"), 16.0),
    "beauty": (("cream", "perfume"), 30.0),
    "sports": (("racket", "mat"), 40.0),
    "bedding": (("blanket", "pillow"), 55.0),
}

BRANDS: Final[tuple[str, ...]] = (
    "Alder",
    "Birchway",
    "Calder",
    "Dunmore",
    "Eskdale",
    "Fenwick",
    "Galloway",
    "Harrow",
    "Ilkley",
    "Jarrow",
    "Kelso",
    "Marlowe",
)

# axis of the latent space -> its two ends, used as tags
STYLES: Final[tuple[tuple[str, str], ...]] = (
    ("rustic", "sleek"),
    ("vivid", "muted"),
    ("rugged", "delicate"),
    ("playful", "solemn"),
    ("vintage", "novel"),
    ("compact", "generous"),
    ("natural", "technical"),
    ("luxe", "plain"),
)

_STEMS: Final = ("amber", "brook", "cinder", "dawn", "ember", "frost", "glade", "harbor", "iron", "juniper", "linen", "meadow")
_ENDINGS: Final = ("lined", "bright", "cut", "soft", "woven", "dark", "edge", "fold")
ADJECTIVES: Final[tuple[str, ...]] = tuple(stem + ending for stem in _STEMS for ending in _ENDINGS)

TYPES: Final[tuple[str, ...]] = ("nester", "explorer", "maker", "dandy", "gamer", "gardener")
AGE_BANDS: Final[tuple[str, ...]] = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
COUNTRIES: Final[tuple[str, ...]] = ("DE", "FR", "GB", "NL", "US")
DEVICES: Final[tuple[str, ...]] = ("mobile", "desktop", "tablet")
PAGES: Final[tuple[str, ...]] = ("search", "category", "home")
