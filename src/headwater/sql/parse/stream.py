"""The state of one parse: where we are in the tokens, and the steps that every grammar rule needs.

Rules are functions over a ``TokenStream``: ``name(p: TokenStream) -> Node``. A rule is entered with
``p.key`` on its first token, unless its docstring says otherwise, and leaves it on the first token
after. Nothing is undone: a rule decides by looking ahead, never by trying.
"""

from collections.abc import Callable
from typing import NamedTuple, NoReturn

from headwater.errors import StatementTooComplex, SyntaxError_
from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.keywords import RESERVED
from headwater.sql.ast.query import Expr, OrderItem, Query
from headwater.sql.ast.statement import Statement
from headwater.sql.parse.failing import describe
from headwater.sql.parse.lexer import Kind, tokenize

NESTING_MAX = 128
"""Deepest nesting of expressions and queries, as in Materialize.

A level takes up to six Python frames here (a query counts as two levels), so a full stack stays
under 800 of the interpreter's 1,000, with room for a server's own frames below.
"""

HEIGHT_MAX = 200
"""Most levels of operators, joins, set operations and subqueries in a tree.

A chain such as ``a || b || …`` needs no nesting to read, but its tree is as high as it is long, and
what walks the tree later does recurse. AND and OR make flat nodes. A query counts as two levels.
"""

WORD, QUOTED, STRING, NUMBER = Kind.WORD, Kind.QUOTED, Kind.STRING, Kind.NUMBER
PARAMETER, SYMBOL, END = Kind.PARAMETER, Kind.SYMBOL, Kind.END


class Grammar(NamedTuple):
    """The rules that contain one another across modules: the one knot in the grammar."""

    expression: "Callable[[TokenStream], Expr]"
    operand: "Callable[[TokenStream, int], Expr]"
    order_items: "Callable[[TokenStream], tuple[OrderItem, ...]]"
    query: "Callable[[TokenStream], Query]"
    statement: "Callable[[TokenStream], Statement]"


class TokenStream:
    """A cursor over a text's tokens.

    Attributes:
        rules: What a rule uses to read an expression, a query or a statement inside its own.
        key: The current token's key, see ``lexer``.
        i: The current token's index.
        depth: How many levels of expressions and queries are open.
        height: The height of the highest tree read so far inside the innermost open level.
    """

    __slots__ = (
        "_closing",
        "depth",
        "ends",
        "height",
        "i",
        "key",
        "keys",
        "kinds",
        "rules",
        "starts",
        "text",
        "values",
    )

    def __init__(self, text: str, rules: Grammar) -> None:
        self.text = text
        self.rules = rules
        self.kinds, self.keys, self.values, self.starts, self.ends = tokenize(text)
        self.i = 0
        self.key = self.keys[0]
        self.depth = 0
        self.height = 0
        self._closing: dict[int, int] | None = None

    # --- looking ----------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """Return where the current token begins, in characters from 1."""
        return self.starts[self.i] + 1

    @property
    def kind(self) -> Kind:
        """Return the current token's kind."""
        return self.kinds[self.i]

    @property
    def value(self) -> str:
        """Return the current token's value."""
        return self.values[self.i]

    def peek(self, ahead: int = 1) -> str:
        """Return the key of the token ``ahead`` of the current one; the end's is empty."""
        index = self.i + ahead
        return self.keys[index] if index < len(self.keys) else ""

    def peek_kind(self, ahead: int = 1) -> Kind:
        """Return the kind of the token ``ahead`` of the current one."""
        index = self.i + ahead
        return self.kinds[index] if index < len(self.kinds) else END

    def at(self, *keys: str) -> bool:
        """Return whether the next tokens have these keys."""
        i = self.i
        return tuple(self.keys[i : i + len(keys)]) == keys

    def closing(self, index: int) -> int:
        """Return the index of the parenthesis that closes the one at ``index``, or the end's."""
        if self._closing is None:
            self._closing = self._match_parentheses()
        return self._closing.get(index, len(self.keys) - 1)

    def _match_parentheses(self) -> dict[int, int]:
        closing: dict[int, int] = {}
        opened: list[int] = []
        for index, key in enumerate(self.keys):
            if key == "(":
                opened.append(index)
            elif key == ")" and opened:
                closing[opened.pop()] = index
        return closing

    # --- moving -----------------------------------------------------------------------------------

    def advance(self) -> None:
        """Go to the next token; at the end, stay there."""
        if self.i < len(self.keys) - 1:
            self.i += 1
            self.key = self.keys[self.i]

    def skip(self, count: int) -> None:
        """Go ``count`` tokens on; they must have been seen, so none of them is the end."""
        self.i += count
        self.key = self.keys[self.i]

    def accept(self, key: str) -> bool:
        """Step over a token with this key and return True, or return False."""
        if self.key != key:
            return False
        self.advance()
        return True

    def accept_all(self, *keys: str) -> bool:
        """Step over all of these tokens and return True, or over none and return False."""
        if self.key != keys[0] or not self.at(*keys):
            return False
        self.skip(len(keys))
        return True

    def accept_any(self, keys: "frozenset[str] | tuple[str, ...]") -> str | None:
        """Step over a token with one of these keys and return the key, or return None."""
        key = self.key
        if key not in keys:
            return None
        self.advance()
        return key

    def expect(self, key: str) -> None:
        """Step over a token with this key.

        Raises:
            SyntaxError_: if there is another token.
        """
        if self.key != key:
            self.fail(key)
        self.advance()

    def expect_all(self, *keys: str) -> None:
        """Step over all of these tokens."""
        for key in keys:
            self.expect(key)

    def expect_any(self, *keys: str) -> str:
        """Step over a token with one of these keys and return the key."""
        key = self.key
        if key not in keys:
            self.fail(*keys)
        self.advance()
        return key

    def enter(self, levels: int = 1) -> None:
        """Open levels of nesting; the rule gives them back: ``depth -= levels``.

        An error ends the parse, so a rule need not give them back then.
        """
        self.depth += levels
        if self.depth > NESTING_MAX:
            raise StatementTooComplex(
                "statement nested too deeply",
                detail=f"It exceeds {NESTING_MAX} levels of expressions and queries.",
                position=self.position,
            )

    def grow(self) -> None:
        """Count a node above all that was read since ``height`` was last set to 0."""
        self.height += 1
        if self.height > HEIGHT_MAX:
            raise StatementTooComplex(
                "statement too complex",
                detail=f"Its tree exceeds {HEIGHT_MAX} levels of operators, joins and queries.",
                position=self.position,
            )

    # --- failing ----------------------------------------------------------------------------------

    def fail(self, *expected: str) -> NoReturn:
        """Raise the syntax error for the current token, saying what would have fitted."""
        kind, at_end = self.kinds[self.i], self.kinds[self.i] is END
        text = self.text[self.starts[self.i] : self.ends[self.i]]
        raise SyntaxError_(
            describe(expected, kind, self.key, text),
            position=len(self.text) + 1 if at_end else self.position,
        )

    # --- names and small literals -----------------------------------------------------------------

    def is_name(self) -> bool:
        """Return whether the current token can be a name."""
        kind = self.kinds[self.i]
        return kind is QUOTED or (kind is WORD and self.key not in RESERVED)

    def name(self, what: str = "identifier") -> str:
        """Read a name: a word that is not reserved, or a quoted one."""
        kind = self.kinds[self.i]
        if kind is not QUOTED and (kind is not WORD or self.key in RESERVED):
            self.fail(what)
        value = self.values[self.i]
        self.advance()
        return value

    def label(self, what: str = "identifier") -> str:
        """Read a name where any word will do: after AS, or after a dot."""
        if self.kinds[self.i] > QUOTED:
            self.fail(what)
        value = self.values[self.i]
        self.advance()
        return value

    def object_name(self, what: str = "identifier") -> ObjectName:
        """Read a possibly qualified name, or the resolved form ``[u1 AS name [VERSION n]]``."""
        position = self.position
        if self.key == "[":
            return self._resolved_name(position)
        parts = [self.name(what)]
        while self.key == "." and self.kinds[self.i + 1] <= QUOTED:
            self.advance()
            parts.append(self.label())
        return ObjectName(tuple(parts), position=position)

    def _resolved_name(self, position: int) -> ObjectName:
        self.advance()
        item = self.label("an object's id")
        parts: list[str] = []
        if self.accept("AS"):
            parts.append(self.label())
            while self.accept("."):
                parts.append(self.label())
        version = self.integer() if parts and self.accept("VERSION") else None
        self.expect("]")
        return ObjectName(tuple(parts), item, version, position=position)

    def object_names(self, what: str = "identifier") -> tuple[ObjectName, ...]:
        """Read names with commas between them."""
        names = [self.object_name(what)]
        while self.accept(","):
            names.append(self.object_name(what))
        return tuple(names)

    def names(self, what: str = "identifier") -> tuple[str, ...]:
        """Read unqualified names with commas between them."""
        names = [self.name(what)]
        while self.accept(","):
            names.append(self.name(what))
        return tuple(names)

    def name_list(self, what: str = "a column") -> tuple[str, ...]:
        """Read unqualified names in parentheses."""
        self.expect("(")
        names = self.names(what)
        self.expect(")")
        return names

    def string(self, what: str = "literal string") -> str:
        """Read a string literal's value."""
        if self.kinds[self.i] is not STRING:
            self.fail(what)
        value = self.values[self.i]
        self.advance()
        return value

    def integer(self, what: str = "literal unsigned integer") -> int:
        """Read an unsigned integer literal."""
        if self.kinds[self.i] is not NUMBER or not self.values[self.i].isdecimal():
            self.fail(what)
        value = int(self.values[self.i])
        self.advance()
        return value

    def if_not_exists(self) -> bool:
        """Step over IF NOT EXISTS, if it is there."""
        return self.key == "IF" and self.accept_all("IF", "NOT", "EXISTS")

    def if_exists(self) -> bool:
        """Step over IF EXISTS, if it is there."""
        return self.key == "IF" and self.accept_all("IF", "EXISTS")
