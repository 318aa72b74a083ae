"""The kinds of items that words for kinds of objects mean."""

from headwater.catalog.items import ItemKind
from headwater.errors import SyntaxError_
from headwater.sql.ast.base import ObjectKind

ITEM_KINDS: dict[ObjectKind, ItemKind] = {
    ObjectKind.TABLE: ItemKind.TABLE,
    ObjectKind.VIEW: ItemKind.VIEW,
    ObjectKind.MATERIALIZED_VIEW: ItemKind.MATERIALIZED_VIEW,
    ObjectKind.SOURCE: ItemKind.SOURCE,
    ObjectKind.SUBSOURCE: ItemKind.SOURCE,
    ObjectKind.SINK: ItemKind.SINK,
    ObjectKind.INDEX: ItemKind.INDEX,
    ObjectKind.TYPE: ItemKind.TYPE,
    ObjectKind.SECRET: ItemKind.SECRET,
    ObjectKind.CONNECTION: ItemKind.CONNECTION,
    ObjectKind.FUNCTION: ItemKind.FUNC,
}


def item_kind(kind: ObjectKind, position: int) -> ItemKind:
    """Return the kind of item that a statement's word means.

    Raises: SyntaxError_: There are no items of this kind: a column, say, which is none by itself.
    """
    found = ITEM_KINDS.get(kind)
    if found is None:
        raise SyntaxError_(f"Expected a kind of object, found {kind.value}", position=position)
    return found
