"""The words for kinds of objects, one by one and in the plural."""

from headwater.sql.ast.base import ObjectKind, ObjectName
from headwater.sql.parse.stream import TokenStream

SINGULAR = {
    ("TABLE",): ObjectKind.TABLE,
    ("VIEW",): ObjectKind.VIEW,
    ("MATERIALIZED", "VIEW"): ObjectKind.MATERIALIZED_VIEW,
    ("SOURCE",): ObjectKind.SOURCE,
    ("SUBSOURCE",): ObjectKind.SUBSOURCE,
    ("SINK",): ObjectKind.SINK,
    ("INDEX",): ObjectKind.INDEX,
    ("TYPE",): ObjectKind.TYPE,
    ("ROLE",): ObjectKind.ROLE,
    ("USER",): ObjectKind.ROLE,
    ("CLUSTER", "REPLICA"): ObjectKind.CLUSTER_REPLICA,
    ("CLUSTER",): ObjectKind.CLUSTER,
    ("SECRET",): ObjectKind.SECRET,
    ("CONNECTION",): ObjectKind.CONNECTION,
    ("DATABASE",): ObjectKind.DATABASE,
    ("SCHEMA",): ObjectKind.SCHEMA,
    ("FUNCTION",): ObjectKind.FUNCTION,
    ("NETWORK", "POLICY"): ObjectKind.NETWORK_POLICY,
    ("COLUMN",): ObjectKind.COLUMN,
}
PLURAL = {
    ("TABLES",): ObjectKind.TABLE,
    ("VIEWS",): ObjectKind.VIEW,
    ("MATERIALIZED", "VIEWS"): ObjectKind.MATERIALIZED_VIEW,
    ("SOURCES",): ObjectKind.SOURCE,
    ("SUBSOURCES",): ObjectKind.SUBSOURCE,
    ("SINKS",): ObjectKind.SINK,
    ("INDEXES",): ObjectKind.INDEX,
    ("INDEX",): ObjectKind.INDEX,
    ("INDICES",): ObjectKind.INDEX,
    ("KEYS",): ObjectKind.INDEX,
    ("TYPES",): ObjectKind.TYPE,
    ("ROLES",): ObjectKind.ROLE,
    ("USERS",): ObjectKind.ROLE,
    ("CLUSTERS",): ObjectKind.CLUSTER,
    ("CLUSTER", "REPLICAS"): ObjectKind.CLUSTER_REPLICA,
    ("SECRETS",): ObjectKind.SECRET,
    ("CONNECTIONS",): ObjectKind.CONNECTION,
    ("DATABASES",): ObjectKind.DATABASE,
    ("SCHEMAS",): ObjectKind.SCHEMA,
    ("FUNCTIONS",): ObjectKind.FUNCTION,
    ("NETWORK", "POLICIES"): ObjectKind.NETWORK_POLICY,
    ("OBJECTS",): ObjectKind.OBJECT,
}

PLURAL_WORDS = {kind: " ".join(words) for words, kind in reversed(PLURAL.items())}


def optional_kind(p: TokenStream) -> ObjectKind | None:
    """Read a kind in the singular, if one is there."""
    for words, kind in SINGULAR.items():
        if p.key == words[0] and p.accept_all(*words):
            return kind
    return None


def object_kind(p: TokenStream) -> ObjectKind:
    """Read a kind in the singular."""
    kind = optional_kind(p)
    if kind is None:
        p.fail("a kind of object")
    return kind


def plural_kind(p: TokenStream) -> ObjectKind | None:
    """Read a kind in the plural, if one is there."""
    for words, kind in PLURAL.items():
        if p.key == words[0] and p.accept_all(*words):
            return kind
    return None


_GLOBAL = (
    ObjectKind.CLUSTER,
    ObjectKind.DATABASE,
    ObjectKind.NETWORK_POLICY,
    ObjectKind.ROLE,
)


def kind_name(p: TokenStream, kind: ObjectKind) -> ObjectName:
    """Read the name of an object of ``kind``, with as many parts as such names have."""
    what = f"a {kind.value.lower()}"
    position = p.position
    if kind in _GLOBAL and p.key != "[":
        return ObjectName((p.name(what),), position=position)
    if kind is ObjectKind.CLUSTER_REPLICA:
        cluster = p.name(what)
        p.expect(".")
        return ObjectName((cluster, p.label(what)), position=position)
    return p.object_name(what)
