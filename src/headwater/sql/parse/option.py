"""Options: one rule for all lists of ``name [=] value``, and a table of the names that exist.

A name is several words, and its value may be a bare word as well, so only the table tells where the
name ends: the longest known name wins, and an unknown first word is read as a name of one word, for
which the planner has a better error than the grammar.
"""

from collections.abc import Callable

from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.option import (
    BrokerAddress,
    Documentation,
    Option,
    OptionList,
    OptionMap,
    OptionMapEntry,
    OptionValue,
    PolicyRule,
    Refresh,
    RefreshKind,
    RelationWithOptions,
    ReplicaDefinition,
    Schedule,
    SecretRef,
    Tunnel,
    TypeValue,
)
from headwater.sql.ast.query import Identifier, String
from headwater.sql.parse.data_type import data_type
from headwater.sql.parse.expression import operand
from headwater.sql.parse.stream import QUOTED, STRING, WORD, TokenStream

_NAMES = """
access key id | action | address | aggregate input group size | aligned to | arity | as of
assert not null | assume role arn | assume role session name | availability zone
availability zones | avro key fullname | avro value fullname | aws connection | aws privatelink
batch size | billed as | broker | brokers | cardinality | catalog type | column names
commit interval | compression type | compute addresses | computectl addresses
confluent wire format | credential | database | delimiter | details | direction | disk
element type | enable eager delta joins | endpoint | equivalences | escape | exclude columns
external reference | file | files | filter pushdown | force not null | force null | force quote
format | group id prefix | header | headers | host | humanized expressions
hydration time estimate | idle arrangement merge effort | ignore keys | internal
introspection debugging | introspection interval | join implementations
key compatibility level | key doc on column | key doc on type | key type | keys | legacy ids
linear chains | managed | max cardinality | max file size | namespace | no fast path
no notices | node identifiers | non negative | null | null defaults | on timeout | partition by
partition strategy | partitions | password | pattern | port | progress | progress group id prefix
progress topic | progress topic replication factor | project | public key 1 | public key 2
publication | quote | raw | raw plans | raw syntax | redacted | reference | refresh | region
replicas | replication factor | retain history | role | rules | sasl mechanisms | sasl password
sasl username | scale factor | schedule | scope | secret access key | security protocol | seed
service name | session token | size | snapshot | snapshot rounds | ssh tunnel | ssl certificate
ssl certificate authority | ssl key | ssl mode | start offset | start timestamp
storage addresses | storagectl addresses | strategy | subtree size | table | text columns
tick interval | timeout | timestamp interval | timing | token | topic | topic config
topic metadata refresh interval | topic partition count | topic replication factor
transactional id prefix | transactional snapshot | types | up to | url | user | username
validate | value compatibility level | value doc on column | value doc on type | value size
value type | version | wait for | wait until ready | warehouse | workers | workload class
doc on column | doc on type | access key | append only | connection | max batch size | mode
"""

Words = tuple[str, ...]


def _by_first_word(names: str) -> dict[str, tuple[Words, ...]]:
    """Return the names as upper-case words, under their first word, longest first."""
    table: dict[str, list[Words]] = {}
    for name in names.replace("\n", "|").split("|"):
        words = tuple(name.upper().split())
        if words:
            table.setdefault(words[0], []).append(words)
    return {
        first: tuple(sorted(set(found), key=len, reverse=True)) for first, found in table.items()
    }


_BY_FIRST = _by_first_word(_NAMES)


def with_options(p: TokenStream) -> tuple[Option, ...]:
    """Read ``WITH (option, …)``, if it is there."""
    if p.key != "WITH" or p.peek() != "(":
        return ()
    p.advance()
    return option_list(p)


def optional_option_list(p: TokenStream) -> tuple[Option, ...]:
    """Read ``(option, …)``, if it is there."""
    return option_list(p) if p.key == "(" else ()


def option_list(p: TokenStream) -> tuple[Option, ...]:
    """Read options in parentheses, maybe none."""
    p.expect("(")
    if p.accept(")"):
        return ()
    found = options(p)
    p.expect(")")
    return found


def options(p: TokenStream) -> tuple[Option, ...]:
    """Read options without parentheses around them."""
    found = [option(p)]
    while p.accept(","):
        found.append(option(p))
    return tuple(found)


def option_names(p: TokenStream) -> tuple[str, ...]:
    """Read option names in parentheses, of RESET or DROP."""
    p.expect("(")
    found = [option_name(p)]
    while p.accept(","):
        found.append(option_name(p))
    p.expect(")")
    return tuple(found)


def option_name(p: TokenStream) -> str:
    """Read an option's name; return it in lower case, one blank between its words."""
    if p.kinds[p.i] is not WORD:
        p.fail("an option")
    for words in _BY_FIRST.get(p.key, ()):
        if p.at(*words):
            p.skip(len(words))
            return " ".join(words).lower()
    return p.label("an option")


def option(p: TokenStream) -> Option:
    """Read ``name [[=] value]``."""
    p.enter()
    position = p.position
    name = option_name(p)
    written = p.accept("=")
    if not written and p.key in (",", ")", "", ";", "WITH", "FEATURES"):
        value: OptionValue | None = None
    else:
        value = _VALUES.get(name, _value)(p)
    p.depth -= 1
    return Option(name, value, position=position)


# --- values ---------------------------------------------------------------------------------------


def _value(p: TokenStream) -> OptionValue:
    """Read a value of any option without a syntax of its own."""
    position = p.position
    key = p.key
    if key == "SECRET" and p.peek_kind() <= QUOTED:
        p.advance()
        return SecretRef(p.object_name("a secret"), position=position)
    if key == "[":
        return _sequence(p, "[", "]")
    if key == "(":
        return _sequence(p, "(", ")")
    if key == "MAP" and p.peek() == "[":
        return _map(p)
    if p.kinds[p.i] <= QUOTED and _ends_name(p):
        return p.object_name("a value") if key not in _LITERAL_WORDS else operand(p, 0)
    return operand(p, 0)


_LITERAL_WORDS = frozenset(["TRUE", "FALSE", "NULL"])


def _ends_name(p: TokenStream) -> bool:
    """Return whether a dotted name is followed by something that ends an option."""
    index = p.i + 1
    while p.keys[index] == ".":
        index += 2
    return p.keys[index] in (",", ")", "]", "", ";", "FEATURES", "WITH")


def _sequence(p: TokenStream, opening: str, closing: str) -> OptionList:
    p.enter()
    position = p.position
    p.expect(opening)
    items: list[OptionValue] = []
    while p.key != closing:
        items.append(_value(p))
        if not p.accept(","):
            break
    p.expect(closing)
    p.depth -= 1
    return OptionList(tuple(items), position=position)


def _map(p: TokenStream) -> OptionMap:
    position = p.position
    p.expect_all("MAP", "[")
    entries = []
    while p.key != "]":
        at = p.position
        key = p.string("a key")
        p.expect("=>")
        entries.append(OptionMapEntry(key, _value(p), position=at))
        if not p.accept(","):
            break
    p.expect("]")
    return OptionMap(tuple(entries), position=position)


def _type(p: TokenStream) -> OptionValue:
    position = p.position
    return TypeValue(data_type(p), position=position)


def _retain_history(p: TokenStream) -> OptionValue:
    p.accept("FOR")
    return operand(p, 0)


def _refresh(p: TokenStream) -> OptionValue:
    position = p.position
    if p.accept_all("ON", "COMMIT"):
        return Refresh(RefreshKind.ON_COMMIT, position=position)
    if p.accept_all("AT", "CREATION"):
        return Refresh(RefreshKind.AT_CREATION, position=position)
    if p.accept("AT"):
        return Refresh(RefreshKind.AT, operand(p, 0), position=position)
    if p.accept("EVERY"):
        at = p.position
        every = String(p.string(), position=at)
        aligned = operand(p, 0) if p.accept_all("ALIGNED", "TO") else None
        return Refresh(RefreshKind.EVERY, every, aligned, position=position)
    p.fail("ON", "AT", "EVERY")


def _schedule(p: TokenStream) -> OptionValue:
    position = p.position
    if p.accept("MANUAL"):
        return Schedule(False, position=position)
    if p.accept_all("ON", "REFRESH"):
        return Schedule(True, optional_option_list(p), position=position)
    p.fail("MANUAL", "ON")


def _named_list(
    p: TokenStream, make: Callable[[str, tuple[Option, ...], int], OptionValue]
) -> OptionValue:
    position = p.position
    p.expect("(")
    items: list[OptionValue] = []
    while p.key != ")":
        at = p.position
        name = p.name("a name")
        items.append(make(name, option_list(p), at))
        if not p.accept(","):
            break
    p.expect(")")
    return OptionList(tuple(items), position=position)


def _replicas(p: TokenStream) -> OptionValue:
    return _named_list(p, lambda name, of, at: ReplicaDefinition(name, of, position=at))


def _rules(p: TokenStream) -> OptionValue:
    return _named_list(p, lambda name, of, at: PolicyRule(name, of, position=at))


def _relation_with_options(p: TokenStream) -> OptionValue:
    position = p.position
    name = p.object_name("a connection")
    if p.key != "(":
        return name
    return RelationWithOptions(name, option_list(p), position=position)


def _broker(p: TokenStream) -> OptionValue:
    position = p.position
    is_pattern = p.accept("MATCHING")
    if p.kinds[p.i] is not STRING:
        return _value(p)
    address = p.string("an address")
    tunnel = _tunnel(p) if p.key == "USING" else None
    return BrokerAddress(address, tunnel, is_pattern, position=position)


def _tunnel(p: TokenStream) -> Tunnel:
    position = p.position
    p.expect("USING")
    is_ssh = p.expect_any("SSH", "AWS") == "SSH"
    p.expect("TUNNEL" if is_ssh else "PRIVATELINK")
    name = p.object_name("a connection")
    return Tunnel(is_ssh, name, optional_option_list(p), position=position)


def _brokers(p: TokenStream) -> OptionValue:
    if p.key not in ("(", "["):
        return OptionList((_broker(p),), position=p.position)
    position = p.position
    closing = ")" if p.key == "(" else "]"
    p.advance()
    items = []
    while p.key != closing:
        items.append(_broker(p))
        if not p.accept(","):
            break
    p.expect(closing)
    return OptionList(tuple(items), position=position)


def _column_names(p: TokenStream) -> OptionValue:
    """Read ``(a, b)``, ``[a, b]`` or ``a``: names, qualified or not."""
    position = p.position
    if p.key not in ("(", "["):
        return p.object_name("a column")
    closing = ")" if p.key == "(" else "]"
    p.advance()
    items: list[OptionValue] = []
    while p.key != closing:
        items.append(p.object_name("a column"))
        if not p.accept(","):
            break
    p.expect(closing)
    return OptionList(tuple(items), position=position)


def _columns_or_star(p: TokenStream) -> OptionValue:
    position = p.position
    return String("*", position=position) if p.accept("*") else _value(p)


def _partition_by(p: TokenStream) -> OptionValue:
    """Read a table's list of columns, or a sink's expression."""
    if p.key == "[" or (p.key == "(" and _is_name_list(p)):
        return _column_names(p)
    found = operand(p, 0)
    if isinstance(found, Identifier):
        return ObjectName(found.parts, position=found.position)
    return found


def _is_name_list(p: TokenStream) -> bool:
    end = p.closing(p.i)
    return all(
        p.kinds[i] <= QUOTED if (i - p.i) % 2 else p.keys[i] == "," for i in range(p.i + 1, end)
    )


def _options_value(p: TokenStream) -> OptionValue:
    position = p.position
    return RelationWithOptions(ObjectName(()), option_list(p), position=position)


def _documentation(p: TokenStream) -> OptionValue:
    position = p.position
    subject = p.object_name("a column or type")
    p.accept("=")
    return Documentation(subject, operand(p, 0), position=position)


def _timeout_action(p: TokenStream) -> OptionValue:
    position = p.position
    word = p.expect_any("COMMIT", "ROLLBACK")
    return ObjectName((word.lower(),), position=position)


_VALUES: dict[str, Callable[[TokenStream], OptionValue]] = {
    "assert not null": _column_names,
    "aws privatelink": _relation_with_options,
    "broker": _broker,
    "brokers": _brokers,
    "doc on column": _documentation,
    "doc on type": _documentation,
    "element type": _type,
    "exclude columns": _column_names,
    "external reference": _column_names,
    "force_quote": _columns_or_star,
    "key doc on column": _documentation,
    "key doc on type": _documentation,
    "key type": _type,
    "on timeout": _timeout_action,
    "partition by": _partition_by,
    "reference": _column_names,
    "refresh": _refresh,
    "replicas": _replicas,
    "retain history": _retain_history,
    "rules": _rules,
    "schedule": _schedule,
    "text columns": _column_names,
    "value doc on column": _documentation,
    "value doc on type": _documentation,
    "value type": _type,
    "wait until ready": _options_value,
}
