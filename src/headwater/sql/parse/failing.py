"""Syntax errors in Materialize's words: ``Expected …, found …``."""

from headwater.sql.ast.keywords import KEYWORDS, RESERVED
from headwater.sql.parse.lexer import Kind

_SYMBOLS = {
    "(": "left parenthesis",
    ")": "right parenthesis",
    "[": "left square bracket",
    "]": "right square bracket",
    ",": "comma",
    ".": "dot",
    ":": "colon",
    "::": "double colon",
    ";": "semicolon",
    "*": "star",
    "=": "equals sign",
    "=>": "arrow",
}
_KINDS = {
    Kind.QUOTED: "identifier",
    Kind.STRING: "string literal",
    Kind.NUMBER: "number",
    Kind.PARAMETER: "parameter",
    Kind.SYMBOL: "operator",
}
_TEXT_SHOWN_MAX = 1000  # characters of a token that a message shows
EXPRESSION = "an expression"


def describe(expected: tuple[str, ...], kind: Kind, key: str, text: str) -> str:
    """Return the message for a token that none of ``expected`` fits.

    Args:
        expected: Keywords, symbols and phrases; empty where nothing is known.
        kind: The token's kind.
        key: Its key.
        text: As it is written.
    """
    if expected == (EXPRESSION,) and kind is Kind.WORD and key in RESERVED:
        return f"expected expression, but found reserved keyword: {key}"
    if not expected:
        return f"Unexpected {_found(kind, key, text)}"
    shown = [_SYMBOLS.get(item, item) for item in expected]
    fits = shown[0] if len(shown) == 1 else "one of " + " or ".join(shown)
    return f"Expected {fits}, found {_found(kind, key, text)}"


def _found(kind: Kind, key: str, text: str) -> str:
    if kind is Kind.END:
        return "EOF"
    if kind is Kind.WORD:
        return key if key in KEYWORDS else f'identifier "{text[:_TEXT_SHOWN_MAX].lower()}"'
    if kind is Kind.SYMBOL and key in _SYMBOLS:
        return _SYMBOLS[key]
    shown = text[:_TEXT_SHOWN_MAX]
    if kind in (Kind.QUOTED, Kind.STRING):  # they bring their quotes
        return f"{_KINDS[kind]} {shown}"
    return f'{_KINDS[kind]} "{shown}"'
