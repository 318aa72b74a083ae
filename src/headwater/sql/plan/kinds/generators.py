"""The relations that load generators make, and the options that each of them has.

Source: ``rust/hw-storage/src/generator``, which makes their rows.
"""

from headwater.sql.plan.external import LoadGeneratorKind
from headwater.sql.plan.kinds.datums import DATUMS_DESC
from headwater.types.relation import Column, RelationDesc
from headwater.types.scalar import (
    BYTEA,
    DATE,
    FLOAT8,
    INT4,
    INT8,
    NUMERIC,
    TEXT,
    TIMESTAMPTZ,
    UINT8,
    ScalarType,
)

_NOT_NULL_KEY = ((0,),)


def _desc(*columns: tuple[str, ScalarType], keys: tuple[tuple[int, ...], ...] = ()) -> RelationDesc:
    return RelationDesc(tuple(Column(name, type, False) for name, type in columns), keys)


_AUCTION = {
    "organizations": _desc(("id", INT8), ("name", TEXT), keys=_NOT_NULL_KEY),
    "users": _desc(("id", INT8), ("org_id", INT8), ("name", TEXT), keys=_NOT_NULL_KEY),
    "accounts": _desc(("id", INT8), ("org_id", INT8), ("balance", INT8), keys=_NOT_NULL_KEY),
    "auctions": _desc(
        ("id", INT8),
        ("seller", INT8),
        ("item", TEXT),
        ("end_time", TIMESTAMPTZ),
        keys=_NOT_NULL_KEY,
    ),
    "bids": _desc(
        ("id", INT8),
        ("buyer", INT8),
        ("auction_id", INT8),
        ("amount", INT4),
        ("bid_time", TIMESTAMPTZ),
        keys=_NOT_NULL_KEY,
    ),
}
_TPCH = {
    "supplier": _desc(
        ("s_suppkey", INT8),
        ("s_name", TEXT),
        ("s_address", TEXT),
        ("s_nationkey", INT8),
        ("s_phone", TEXT),
        ("s_acctbal", NUMERIC),
        ("s_comment", TEXT),
        keys=_NOT_NULL_KEY,
    ),
    "part": _desc(
        ("p_partkey", INT8),
        ("p_name", TEXT),
        ("p_mfgr", TEXT),
        ("p_brand", TEXT),
        ("p_type", TEXT),
        ("p_size", INT4),
        ("p_container", TEXT),
        ("p_retailprice", NUMERIC),
        ("p_comment", TEXT),
        keys=_NOT_NULL_KEY,
    ),
    "partsupp": _desc(
        ("ps_partkey", INT8),
        ("ps_suppkey", INT8),
        ("ps_availqty", INT4),
        ("ps_supplycost", NUMERIC),
        ("ps_comment", TEXT),
        keys=((0, 1),),
    ),
    "customer": _desc(
        ("c_custkey", INT8),
        ("c_name", TEXT),
        ("c_address", TEXT),
        ("c_nationkey", INT8),
        ("c_phone", TEXT),
        ("c_acctbal", NUMERIC),
        ("c_mktsegment", TEXT),
        ("c_comment", TEXT),
        keys=_NOT_NULL_KEY,
    ),
    "orders": _desc(
        ("o_orderkey", INT8),
        ("o_custkey", INT8),
        ("o_orderstatus", TEXT),
        ("o_totalprice", NUMERIC),
        ("o_orderdate", DATE),
        ("o_orderpriority", TEXT),
        ("o_clerk", TEXT),
        ("o_shippriority", INT4),
        ("o_comment", TEXT),
        keys=_NOT_NULL_KEY,
    ),
    "lineitem": _desc(
        ("l_orderkey", INT8),
        ("l_partkey", INT8),
        ("l_suppkey", INT8),
        ("l_linenumber", INT4),
        ("l_quantity", NUMERIC),
        ("l_extendedprice", NUMERIC),
        ("l_discount", NUMERIC),
        ("l_tax", NUMERIC),
        ("l_returnflag", TEXT),
        ("l_linestatus", TEXT),
        ("l_shipdate", DATE),
        ("l_commitdate", DATE),
        ("l_receiptdate", DATE),
        ("l_shipinstruct", TEXT),
        ("l_shipmode", TEXT),
        ("l_comment", TEXT),
        keys=((0, 3),),
    ),
    "nation": _desc(
        ("n_nationkey", INT8),
        ("n_name", TEXT),
        ("n_regionkey", INT8),
        ("n_comment", TEXT),
        keys=_NOT_NULL_KEY,
    ),
    "region": _desc(
        ("r_regionkey", INT8), ("r_name", TEXT), ("r_comment", TEXT), keys=_NOT_NULL_KEY
    ),
}
_MARKETING = {
    "customers": _desc(("id", INT8), ("email", TEXT), ("income", INT8), keys=_NOT_NULL_KEY),
    "impressions": _desc(
        ("id", INT8),
        ("customer_id", INT8),
        ("campaign_id", INT8),
        ("impression_time", TIMESTAMPTZ),
        keys=_NOT_NULL_KEY,
    ),
    "clicks": _desc(("impression_id", INT8), ("click_time", TIMESTAMPTZ)),
    "leads": RelationDesc(
        (
            Column("id", INT8, False),
            Column("customer_id", INT8, False),
            Column("created_at", TIMESTAMPTZ, False),
            Column("converted_at", TIMESTAMPTZ, True),
            Column("conversion_amount", INT8, True),
        ),
        _NOT_NULL_KEY,
    ),
    "coupons": _desc(
        ("id", INT8),
        ("lead_id", INT8),
        ("created_at", TIMESTAMPTZ),
        ("amount", INT8),
        keys=_NOT_NULL_KEY,
    ),
    "conversion_predictions": _desc(
        ("lead_id", INT8),
        ("experiment_bucket", TEXT),
        ("predicted_at", TIMESTAMPTZ),
        ("score", FLOAT8),
    ),
}

# Generators of several relations, by name upstream, in the order of their outputs.
TABLES: dict[LoadGeneratorKind, dict[str, RelationDesc]] = {
    LoadGeneratorKind.AUCTION: _AUCTION,
    LoadGeneratorKind.TPCH: _TPCH,
    LoadGeneratorKind.MARKETING: _MARKETING,
}
# Generators of one relation.
SINGLE: dict[LoadGeneratorKind, RelationDesc] = {
    LoadGeneratorKind.COUNTER: _desc(("counter", INT8)),
    LoadGeneratorKind.CLOCK: _desc(("time", TIMESTAMPTZ)),
    LoadGeneratorKind.KEY_VALUE: _desc(
        ("partition", UINT8), ("key", UINT8), ("offset", UINT8), ("value", BYTEA)
    ),
    LoadGeneratorKind.DATUMS: DATUMS_DESC,
}
_COMMON = ("tick interval", "as of", "up to")
OPTIONS: dict[LoadGeneratorKind, tuple[str, ...]] = {
    LoadGeneratorKind.AUCTION: _COMMON,
    LoadGeneratorKind.MARKETING: _COMMON,
    LoadGeneratorKind.CLOCK: _COMMON,
    LoadGeneratorKind.DATUMS: _COMMON,
    LoadGeneratorKind.COUNTER: (*_COMMON, "max cardinality"),
    LoadGeneratorKind.TPCH: (*_COMMON, "scale factor"),
    LoadGeneratorKind.KEY_VALUE: (
        "tick interval",
        "keys",
        "snapshot rounds",
        "transactional snapshot",
        "value size",
        "seed",
        "partitions",
        "batch size",
    ),
}
PROGRESS = _desc(("offset", UINT8))
