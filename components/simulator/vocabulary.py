"""The invented shop's vocabulary: the words that carry the latent vectors, and the phrases that titles, descriptions and queries use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

# A word of each line can describe a product of any category; each word has a latent vector of its own.
_KINDS: Final = (
    "linen cotton wool felt canvas velvet silk denim tweed hemp cashmere corduroy "
    "flannel jute satin suede leather muslin mohair fleece jersey twill chenille alpaca",
    "brass copper steel silver bronze pewter iron gold titanium nickel marble slate "
    "oak walnut bamboo cork ash birch cedar maple teak beech ceramic glass",
    "navy ivory sage coral charcoal rust teal plum sand ochre indigo crimson "
    "mint black white blush emerald cobalt burgundy mustard lilac khaki turquoise grey",
    "warm soft light bold bright quiet gentle classic modern simple retro seaside "
    "alpine coastal nautical botanical country urban heritage winter summer festive weekend everyday",
)
ADJECTIVES: Final[tuple[str, ...]] = tuple(word for kind in _KINDS for word in kind.split())
_KIND_SIZE: Final = len(ADJECTIVES) // len(_KINDS)


class Category(NamedTuple):
    """What a category's products are called.

    Attributes:
        nouns: two nouns that titles and queries use.
        price: typical price.
        phrases: for each kind of word (textile, material, colour, character), how it follows the noun; empty where it precedes it.
        parts: for each kind, the part of the product that such a word describes as a detail.
    """

    nouns: tuple[str, str]
    price: float
    phrases: tuple[str, str, str, str]
    parts: tuple[str, str, str, str]


CATEGORIES: Final[dict[str, Category]] = {
    "lighting": Category(("table lamp", "floor lamp"), 60.0, ("", "", "", ""), ("shade", "foot", "cord", "look")),
    "kitchen": Category(("teapot", "coffee pot"), 45.0, ("with {} cosy", "with {} handle", "", ""), ("coaster", "lid", "rim", "style")),
    "jackets": Category(("jacket", "parka"), 120.0, ("", "with {} buttons", "", ""), ("lining", "toggles", "collar", "cut")),
    "shoes": Category(("boots", "sneakers"), 90.0, ("", "with {} buckles", "", ""), ("lining", "studs", "laces", "style")),
    "bags": Category(("backpack", "satchel"), 70.0, ("", "with {} clasp", "", ""), ("straps", "rings", "pocket", "look")),
    "audio": Category(("headphones", "speaker"), 110.0, ("with {} case", "", "", ""), ("pouch", "dial", "cable", "design")),
    "garden": Category(("planter", "bird bath"), 35.0, ("with {} cover", "", "", ""), ("liner", "stand", "glaze", "look")),
    "toys": Category(("puzzle", "robot"), 25.0, ("in {} bag", "", "", ""), ("ribbon", "base", "box", "theme")),
    "books": Category(("novel", "cookbook"), 16.0, ("bound in {}", "with {} bookmark", "in {}", ""), ("ribbon", "clasp", "cover", "tone")),
    "beauty": Category(("cream", "perfume"), 30.0, ("in {} pouch", "with {} cap", "in {} box", ""), ("ribbon", "tray", "label", "scent")),
    "sports": Category(("racket", "skipping rope"), 40.0, ("with {} grip", "with {} handle", "", ""), ("bag", "hook", "stripe", "feel")),
    "bedding": Category(("blanket", "cushion"), 55.0, ("", "with {} buttons", "", ""), ("edging", "toggles", "border", "feel")),
}

_BRANDS = "Alder, Brightwell, Casa Lume, Dunmore, Ellery & Vale, Fjordal, Hollins, Juno Lane, Kelso, Marenne, Northpine, Studio Orla"
BRANDS: Final[tuple[str, ...]] = tuple(_BRANDS.split(", "))

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

TYPES: Final[tuple[str, ...]] = ("nester", "explorer", "maker", "dandy", "gamer", "gardener")
AGE_BANDS: Final[tuple[str, ...]] = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
COUNTRIES: Final[tuple[str, ...]] = ("DE", "FR", "GB", "NL", "US")
DEVICES: Final[tuple[str, ...]] = ("mobile", "desktop", "tablet")
PAGES: Final[tuple[str, ...]] = ("search", "category", "home")


def phrase(category: Category, noun: str, word: int) -> str:
    """What a product is called by a noun and the number of a word: `linen table lamp`, `teapot with wool cosy`."""
    after = category.phrases[word // _KIND_SIZE].format(ADJECTIVES[word])
    return f"{noun} {after}" if after else f"{ADJECTIVES[word]} {noun}"


def details(category: Category, numbers: Sequence[int]) -> list[str]:
    """What the words of these numbers say of the product's parts, words of one kind together: `brass and oak foot`, `sage cord`."""
    kinds: dict[int, list[str]] = {}
    for number in numbers:
        kinds.setdefault(number // _KIND_SIZE, []).append(ADJECTIVES[number])
    return [f"{listed(each)} {category.parts[kind]}" for kind, each in kinds.items()]


def listed(items: Sequence[str]) -> str:
    """The items as English lists them: `a, b and c`."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
