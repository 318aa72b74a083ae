"""SQL text into tokens, by PostgreSQL's rules: one compiled expression and a loop.

A token is four entries in parallel lists, which is the fastest thing CPython offers:

- ``kinds``: what it is, see ``Kind``
- ``keys``: what the parser compares: the upper-case spelling of an unquoted word, an operator's or
  a punctuation's own text, and for the other kinds a mark that is neither (``"'"``, ``'"'``,
  ``"0"``, ``"$"``, and the empty string at the end)
- ``values``: the folded name, the string with its escapes applied, the number's text
- ``starts``: where it begins, in characters from 0; ``ends``: one past its last character
"""

import enum
import re
from typing import NamedTuple, NoReturn

from headwater.errors import NameTooLong, StatementTooComplex, SyntaxError_, UndefinedObject

STATEMENT_CHARACTERS_MAX = 16 * 1024 * 1024
"""Longest text that is parsed. Materialize allows 1 MB by default; bulk INSERTs need more."""

IDENTIFIER_BYTES_MAX = 255
"""Longest identifier in UTF-8, as in Materialize (PostgreSQL truncates at 63)."""

PARAMETER_MAX = 65535
"""Highest parameter number: the protocol counts parameters in 16 bits."""

NUMBER_CHARACTERS_MAX = 1000
"""Longest numeric literal; the widest type, numeric, holds 39 digits."""


class Kind(enum.IntEnum):
    """What a token is."""

    WORD = 0
    QUOTED = 1
    STRING = 2
    NUMBER = 3
    PARAMETER = 4
    SYMBOL = 5
    END = 6


WORD, QUOTED, STRING, NUMBER = Kind.WORD, Kind.QUOTED, Kind.STRING, Kind.NUMBER
PARAMETER, SYMBOL, END = Kind.PARAMETER, Kind.SYMBOL, Kind.END


class Tokens(NamedTuple):
    """A text's tokens, the last of which is the end."""

    kinds: list[Kind]
    keys: list[str]
    values: list[str]
    starts: list[int]
    ends: list[int]


_TOKEN = re.compile(
    r"""
      (?: [ \t\r\n\f\v]+ | --[^\r\n]* )+                                    # nothing: no group
    | ( [eEnNxXbB]' | [uU]&['"] | " | /\* | '
      | \$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$ )     # 1 opens something
    | ( [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )             # 2 word
    | ( 0[xX](?:_?[0-9A-Fa-f])+ | 0[oO](?:_?[0-7])+ | 0[bB](?:_?[01])+
      | (?: \d(?:_?\d)* (?: \.(?!\.) (?:\d(?:_?\d)*)? )? | \.\d(?:_?\d)* )
        (?:[eE][+-]?\d(?:_?\d)*)? )                                         # 3 number
    | ( ::|:=|\.\.|[()\[\],;.:] )                                           # 4 punctuation
    | ( [-+*/<>=~!@\#%^&|`?]+ )                                             # 5 operator
    | ( \$\d+ )                                                             # 6 parameter
    """,
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_QUOTED_END = re.compile(r'[^"]*(?:""[^"]*)*"')
_STRING_END = re.compile(r"[^']*(?:''[^']*)*'")
_ESCAPED_END = re.compile(r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*'", re.DOTALL)
_CONTINUED = re.compile(r"(?:[ \t\f\v]|--[^\r\n]*)*[\r\n](?:[ \t\r\n\f\v]|--[^\r\n]*)*'")
_ESCAPE = re.compile(
    r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL
)
_UNICODE_ESCAPE = re.compile(r"\\(?:(\\)|([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6})|)")
_IDENTIFIER_CHARACTER = re.compile(r"[A-Za-z_\x80-\U0010ffff]")
_SIMPLE_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_FOLD = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_KEEPS_SIGN = frozenset("~!@#%^&|`?")


class Lexer:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = Tokens([], [], [], [], [])

    def run(self) -> Tokens:
        """Return all tokens.

        Raises:
            SyntaxError_: where PostgreSQL's scanner stops: an unterminated string, comment or
                name, an invalid escape, a character that begins nothing.
            NameTooLong: for an identifier above ``IDENTIFIER_BYTES_MAX``.
            StatementTooComplex: for a text above ``STATEMENT_CHARACTERS_MAX``.
        """
        text = self.text
        length = len(text)
        if length > STATEMENT_CHARACTERS_MAX:
            raise StatementTooComplex(
                "statement too long",
                detail=f"It has {length} characters, the limit is {STATEMENT_CHARACTERS_MAX}.",
            )
        match = _TOKEN.match
        kinds, keys, values, starts, ends = self.tokens
        position = 0
        while position < length:
            found = match(text, position)
            if found is None:
                self.fail("syntax error", position, position + 1)
            group = found.lastindex
            if group is None:
                position = found.end()
                continue
            end = found.end()
            if group == 2:
                word = found.group()
                if word.isascii():
                    key, value, kind = word.upper(), word.lower(), WORD
                else:
                    key, value, kind = '"', word.translate(_FOLD), QUOTED
                if end - position > IDENTIFIER_BYTES_MAX // 4:
                    self._check_length(value, position)
            elif group == 4:
                key = value = found.group()
                kind = SYMBOL
            elif group == 3:
                kind, key, value = NUMBER, "0", self._number(found.group(), position, end)
            elif group == 5:
                end = self._operator_end(position, end)
                value = text[position:end]
                kind, key = SYMBOL, "<>" if value == "!=" else value
            elif group == 6:
                kind, key, value = PARAMETER, "$", self._parameter(position, end)
            else:
                position = self._opened(found.group(), position, end)
                continue
            kinds.append(kind)
            keys.append(key)
            values.append(value)
            starts.append(position)
            ends.append(end)
            position = end
        self._add(END, "", "", length, length)
        return self.tokens

    def fail(self, message: str, start: int, end: int) -> NoReturn:
        """Raise a syntax error near the text from ``start`` to ``end``."""
        raise SyntaxError_(
            f'{message} at or near "{self.text[start:end][:1000]}"', position=start + 1
        )

    def _add(self, kind: Kind, key: str, value: str, start: int, end: int) -> None:
        tokens = self.tokens
        tokens.kinds.append(kind)
        tokens.keys.append(key)
        tokens.values.append(value)
        tokens.starts.append(start)
        tokens.ends.append(end)

    def _opened(self, mark: str, start: int, end: int) -> int:
        """Lex what ``mark`` opens; return where to go on."""
        first = mark[0]
        if mark == "'":
            return self._string(start, end, _STRING_END)
        if first == '"':
            return self._quoted(start, end)
        if first == "/":
            return self._skip_comment(start)
        if first in "eE":
            return self._string(start, end, _ESCAPED_END)
        if first in "uU":
            return self._unicode(start, end)
        if first == "$":
            return self._dollar(start, end)
        if first in "nN":
            return self._string(start, end, _STRING_END)
        if first in "bB":
            # As Materialize has it, to which this is a literal of a type named b.
            raise UndefinedObject(
                'type "b" does not exist',
                hint="Bit strings are not supported.",
                position=start + 1,
            )
        raise SyntaxError_("hex string literals are not supported", position=start + 1)

    # --- names ------------------------------------------------------------------------------------

    def _check_length(self, name: str, start: int) -> None:
        length = len(name.encode())
        if length > IDENTIFIER_BYTES_MAX:
            raise NameTooLong(
                f"identifier length exceeds {IDENTIFIER_BYTES_MAX} bytes",
                detail=f"The name has {length} bytes.",
                position=start + 1,
            )

    def _quoted(self, start: int, end: int) -> int:
        found = _QUOTED_END.match(self.text, end)
        if found is None:
            self.fail("unterminated quoted identifier", start, len(self.text))
        self._add_name(self.text[end : found.end() - 1].replace('""', '"'), start, found.end())
        return found.end()

    def _add_name(self, name: str, start: int, end: int) -> None:
        if not name:
            self.fail("zero-length delimited identifier", start, end)
        if "\0" in name:
            self.fail("null character in identifier", start, end)
        self._check_length(name, start)
        self._add(QUOTED, '"', name, start, end)

    # --- strings ----------------------------------------------------------------------------------

    def _string(self, start: int, end: int, closing: re.Pattern[str]) -> int:
        """Lex a string and those that continue it after a newline."""
        parts = []
        while True:
            found = closing.match(self.text, end)
            if found is None:
                self.fail("unterminated quoted string", start, len(self.text))
            parts.append(self.text[end : found.end() - 1].replace("''", "'"))
            end = found.end()
            continued = _CONTINUED.match(self.text, end)
            if continued is None:
                break
            end = continued.end()
        value = "".join(parts)
        if closing is _ESCAPED_END and "\\" in value:
            value = self._unescape(value, start, end)
        self._add(STRING, "'", value, start, end)
        return end

    def _unescape(self, value: str, start: int, end: int) -> str:
        def one(found: re.Match[str]) -> str:
            code = found[1]
            if code[0] in "uU" and len(code) > 1:
                return self._character(int(code[1:], 16), 0x10FFFF, start, end)
            if code[0] == "x" and len(code) > 1:
                return self._character(int(code[1:], 16), 0x7F, start, end)
            if code[0] in "01234567":
                return self._character(int(code, 8), 0x7F, start, end)
            if code[0] in "uU":
                self.fail("invalid Unicode escape", start, end)
            return _SIMPLE_ESCAPES.get(code, code)

        # Surrogate pairs written as two escapes make one character, as in PostgreSQL.
        return self._join_surrogates(_ESCAPE.sub(one, value), start, end)

    def _character(self, code: int, code_max: int, start: int, end: int) -> str:
        """Return an escape's character; bytes above ASCII would be half a character in UTF-8."""
        if not 0 < code <= code_max:
            self.fail("invalid escape", start, end)
        return chr(code)

    def _join_surrogates(self, value: str, start: int, end: int) -> str:
        try:
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.fail("invalid Unicode surrogate pair", start, end)

    def _unicode(self, start: int, end: int) -> int:
        """Lex ``U&'…'`` or ``U&"…"``, with the backslash as escape character."""
        is_name = self.text[end - 1] == '"'
        found = (_QUOTED_END if is_name else _STRING_END).match(self.text, end)
        if found is None:
            kind = "quoted identifier" if is_name else "quoted string"
            self.fail(f"unterminated {kind}", start, len(self.text))
        quote = self.text[end - 1]
        body = self.text[end : found.end() - 1].replace(quote * 2, quote)

        def one(escape: re.Match[str]) -> str:
            if escape[1]:
                return "\\"
            digits = escape[2] or escape[3]
            if not digits:
                self.fail("invalid Unicode escape", start, found.end())
            return self._character(int(digits, 16), 0x10FFFF, start, found.end())

        value = self._join_surrogates(_UNICODE_ESCAPE.sub(one, body), start, found.end())
        if is_name:
            self._add_name(value, start, found.end())
        else:
            self._add(STRING, "'", value, start, found.end())
        return found.end()

    def _dollar(self, start: int, end: int) -> int:
        tag = self.text[start:end]
        closing = self.text.find(tag, end)
        if closing < 0:
            self.fail("unterminated dollar-quoted string", start, len(self.text))
        self._add(STRING, "'", self.text[end:closing], start, closing + len(tag))
        return closing + len(tag)

    # --- the rest ---------------------------------------------------------------------------------

    def _parameter(self, start: int, end: int) -> str:
        number = self.text[start + 1 : end].lstrip("0")
        if len(number) > 5 or not 0 < int(number or "0") <= PARAMETER_MAX:
            self.fail("parameter number out of range", start, end)
        self._reject_junk(start, end, "parameter")
        return number

    def _number(self, text: str, start: int, end: int) -> str:
        self._reject_junk(start, end, "numeric literal")
        if len(text) > NUMBER_CHARACTERS_MAX:
            self.fail("numeric literal too long", start, start + NUMBER_CHARACTERS_MAX)
        if "_" in text:
            text = text.replace("_", "")
        if len(text) > 1 and text[1] in "xXoObB":
            return str(int(text, 0))
        return text

    def _reject_junk(self, start: int, end: int, what: str) -> None:
        found = _IDENTIFIER_CHARACTER.match(self.text, end)
        if found is not None:
            self.fail(f"trailing junk after {what}", start, found.end())

    def _skip_comment(self, start: int) -> int:
        depth, position = 0, start
        while True:
            found = _COMMENT_EDGE.search(self.text, position)
            if found is None:
                self.fail("unterminated /* comment", start, len(self.text))
            depth += 1 if found.group() == "/*" else -1
            position = found.end()
            if depth == 0:
                return position

    def _operator_end(self, start: int, end: int) -> int:
        """Return where the operator ends: before a comment, and without a trailing sign.

        ``a<-1`` has the operator ``<``, but ``a@-1`` has ``@-``: an operator of several characters
        may end in a sign only if it contains one that no operator of the standard has.

        Source: PostgreSQL, 4.1.3 Operators.
        """
        text = self.text[start:end]
        if len(text) == 1:
            return end
        for comment in ("--", "/*"):
            cut = text.find(comment)
            if cut > 0:
                text = text[:cut]
        while len(text) > 1 and text[-1] in "+-" and not _KEEPS_SIGN.intersection(text):
            text = text[:-1]
        return start + len(text)


def tokenize(text: str) -> Tokens:
    """Return the tokens of ``text``; see ``Lexer.run``."""
    return Lexer(text).run()
