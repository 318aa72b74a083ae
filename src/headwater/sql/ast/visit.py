"""Walking and comparing trees without knowing their nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import msgspec

from headwater.sql.ast.base import Node

N = TypeVar("N", bound=Node)


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly below ``node``, in the order of their fields."""
    for name in node.__struct_fields__:
        yield from _nodes(getattr(node, name))


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """Yield ``node`` and all nodes below it, parents first, without recursion."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(list(children(top))))


def transform(node: N, change: Callable[[Node], Node]) -> N:
    """Return a tree each of whose nodes ``change`` has seen, children first."""
    changes = {}
    for field in node.__struct_fields__:
        old = getattr(node, field)
        if isinstance(old, tuple | Node):
            new = _transformed(old, change)
            if new is not old:
                changes[field] = new
    return cast("N", change(msgspec.structs.replace(node, **changes) if changes else node))


def _transformed(value: object, change: Callable[[Node], Node]) -> object:
    if isinstance(value, Node):
        return transform(value, change)
    if not isinstance(value, tuple):
        return value
    items = tuple(_transformed(item, change) for item in value)
    is_same = all(new is old for new, old in zip(items, value, strict=True))
    return value if is_same else items


def without_positions(node: N) -> N:
    """Return an equal tree whose positions are all 0, without recursion."""
    done: dict[int, Node] = {}
    stack: list[tuple[Node, bool]] = [(node, False)]
    while stack:
        top, is_ready = stack.pop()
        if is_ready:
            fields = [name for name in top.__struct_fields__ if name != "position"]
            done[id(top)] = type(top)(*[_plain(getattr(top, name), done) for name in fields])
        elif id(top) not in done:
            stack.append((top, True))
            stack.extend([(child, False) for child in children(top)])
    plain = done[id(node)]
    return cast("N", plain)


def _plain(value: object, done: dict[int, Node]) -> object:
    if isinstance(value, Node):
        return done[id(value)]
    if isinstance(value, tuple):
        return tuple([_plain(item, done) for item in value])
    return value


def same(left: Node, right: Node) -> bool:
    """Return whether two trees are equal but for positions."""
    return without_positions(left) == without_positions(right)
