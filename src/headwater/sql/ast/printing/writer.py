"""What the printer's rules share."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headwater.sql.ast.base import Node, ObjectName
from headwater.sql.ast.keywords import quote

Rule = Callable[["Writer", Any], str]
Rules = Mapping[type[Node], Rule]

REDACTED = "'<REDACTED>'"

LOOSEST = 0
"""As a level to print an expression above: no operator needs parentheses."""


class Writer:
    """Prints nodes by the rules it is given.

    Attributes:
        redacted: Whether literals are replaced by ``'<REDACTED>'``, for logs and shared text.
    """

    def __init__(self, rules: Rules, level: Callable[[Node], int], *, redacted: bool) -> None:
        self._rules = rules
        self._level = level
        self.redacted = redacted

    def node(self, node: Node) -> str:
        """Return the node as SQL, without parentheses around it."""
        return self._rules[type(node)](self, node)

    def above(self, node: Node, level: int) -> str:
        """Return an expression, in parentheses unless its operator binds tighter than ``level``."""
        text = self.node(node)
        return f"({text})" if self._level(node) <= level else text

    def nodes(self, nodes: Iterable[Node]) -> str:
        """Return nodes with commas between them."""
        return ", ".join(map(self.node, nodes))

    def optional(self, before: str, node: Node | None) -> str:
        """Return a blank, ``before`` and the node, or nothing if there is none."""
        return "" if node is None else f" {before}{self.node(node)}"

    def clause(self, before: str, nodes: Iterable[Node]) -> str:
        """Return a blank, ``before`` and the nodes, or nothing if there are none."""
        text = self.nodes(nodes)
        return f" {before}{text}" if text else ""

    def string(self, value: str) -> str:
        """Return a string literal."""
        if self.redacted:
            return REDACTED
        return "'" + value.replace("'", "''") + "'"


def name(of: ObjectName) -> str:
    """Return a name as SQL."""
    if of.id is None:
        return path(of.parts)
    version = "" if of.version is None else f" VERSION {of.version}"
    return f"[{of.id} AS {path(of.parts)}{version}]" if of.parts else f"[{of.id}]"


def path(parts: Iterable[str]) -> str:
    """Return a qualified name's parts as SQL."""
    return ".".join([quote(part) for part in parts])


def names(of: Iterable[str]) -> str:
    """Return unqualified names with commas between them."""
    return ", ".join([quote(one) for one in of])


def columns(of: tuple[str, ...]) -> str:
    """Return a blank and names in parentheses, or nothing if there are none."""
    return f" ({names(of)})" if of else ""


def words(*parts: str | None) -> str:
    """Return the parts that are not empty with blanks between them."""
    return " ".join([part for part in parts if part])


def when(condition: object, text: str) -> str:
    """Return ``text`` if the condition holds, else nothing."""
    return text if condition else ""
