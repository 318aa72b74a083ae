"""Options as SQL."""

from headwater.sql.ast.base import Node
from headwater.sql.ast.keywords import quote
from headwater.sql.ast.option import (
    BrokerAddress,
    Documentation,
    Option,
    OptionList,
    OptionMap,
    OptionMapEntry,
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
from headwater.sql.ast.printing.writer import Rules, Writer, name, when, words


def listed(w: Writer, options: tuple[Option, ...]) -> str:
    """Return options in parentheses with a blank before, or nothing if there are none."""
    return f" ({w.nodes(options)})" if options else ""


def with_options(w: Writer, options: tuple[Option, ...]) -> str:
    """Return `` WITH (…)``, or nothing if there are no options."""
    return f" WITH ({w.nodes(options)})" if options else ""


def _option(w: Writer, node: Option) -> str:
    text = node.name.upper()
    if node.value is None:
        return text
    if isinstance(node.value, Documentation):
        return f"{text} {name(node.value.subject)} = {w.node(node.value.text)}"
    if node.name == "retain history":
        return f"{text} = FOR {w.node(node.value)}"
    if node.name == "partition by" and isinstance(node.value, OptionList):
        return f"{text} = ({w.nodes(node.value.items)})"
    if isinstance(node.value, OptionList) and node.name in ("replicas", "rules"):
        return f"{text} ({w.nodes(node.value.items)})"
    return f"{text} = {w.node(node.value)}"


def _broker(w: Writer, node: BrokerAddress) -> str:
    text = when(node.is_pattern, "MATCHING ") + w.string(node.address)
    return text + w.optional("USING ", node.tunnel)


def _tunnel(w: Writer, node: Tunnel) -> str:
    kind = "SSH TUNNEL" if node.is_ssh else "AWS PRIVATELINK"
    return f"{kind} {name(node.name)}{listed(w, node.options)}"


def _refresh(w: Writer, node: Refresh) -> str:
    if node.kind in (RefreshKind.ON_COMMIT, RefreshKind.AT_CREATION) or node.time is None:
        return node.kind
    return f"{node.kind} {w.node(node.time)}{w.optional('ALIGNED TO ', node.aligned_to)}"


def _schedule(w: Writer, node: Schedule) -> str:
    return f"ON REFRESH{listed(w, node.options)}" if node.on_refresh else "MANUAL"


def _named(w: Writer, node: Node) -> str:
    if not isinstance(node, ReplicaDefinition | PolicyRule):
        raise TypeError(type(node))
    return f"{quote(node.name)} ({w.nodes(node.options)})"


def _relation_with_options(w: Writer, node: RelationWithOptions) -> str:
    return words(name(node.name), f"({w.nodes(node.options)})")


RULES: Rules = {
    BrokerAddress: _broker,
    Option: _option,
    OptionList: lambda w, node: f"[{w.nodes(node.items)}]",
    OptionMap: lambda w, node: f"MAP[{w.nodes(node.entries)}]",
    OptionMapEntry: lambda w, node: f"{w.string(node.key)} => {w.node(node.value)}",
    PolicyRule: _named,
    Refresh: _refresh,
    RelationWithOptions: _relation_with_options,
    ReplicaDefinition: _named,
    Schedule: _schedule,
    SecretRef: lambda w, node: f"SECRET {name(node.name)}",
    Tunnel: _tunnel,
    TypeValue: lambda w, node: w.node(node.data_type),
}
