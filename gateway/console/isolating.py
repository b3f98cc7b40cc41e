"""Names that people typed, kept from turning the text beside them round: bidirectional isolates (UAX #9). Pure."""

from typing import TypeVar
from unicodedata import bidirectional

_TURNING = frozenset({"R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"})
_OPENING, _CLOSING = "\u2066\u2067\u2068", "\u2069"
_FIRST_STRONG = "\u2068"
_Text = TypeVar("_Text", bound=str)


def isolated(text: _Text) -> _Text:
    """*text* in an isolate of its own where it has anything that turns the way of reading; else as it is."""
    if text.isascii() or not any(bidirectional(character) in _TURNING for character in text):
        return text
    kept, opened = [_FIRST_STRONG], 1
    for character in text:
        if character == _CLOSING and opened == 1:
            continue  # it would end the isolate before the name does
        opened += (character in _OPENING) - (character == _CLOSING)
        kept.append(character)
    return type(text)("".join(kept) + _CLOSING * opened)
