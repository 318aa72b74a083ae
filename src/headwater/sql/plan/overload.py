"""Choosing the overload of a function or operator that a call means.

Source: PostgreSQL, sections 10.2 and 10.3 (``func_select_candidate``); Materialize's additions:
list, map and their elements as polymorphic families.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from headwater.errors import InternalError
from headwater.ir.functions import (
    ArgType,
    CastContext,
    Pseudo,
    Signature,
    lookup,
    lookup_operator,
)
from headwater.sql.plan.types import (
    CATEGORY,
    PREFERRED,
    can_coerce,
    same_type,
    try_common_type,
    unsigned_mix,
)
from headwater.types.scalar import (
    FLOAT8,
    TEXT,
    UNKNOWN,
    BaseType,
    ScalarType,
    array_of,
    list_of,
    map_of,
    range_of,
)

_CACHED_CHOICES_MAX = 4096
_ELEMENTS = frozenset({Pseudo.ANYELEMENT, Pseudo.ANYNONARRAY})
_SAME_FAMILY = frozenset({Pseudo.ANYELEMENT, Pseudo.ANYARRAY, Pseudo.ANYNONARRAY, Pseudo.ANYRANGE})
_COMPATIBLE = frozenset({Pseudo.ANYCOMPATIBLE, Pseudo.ANYCOMPATIBLEARRAY})
_CONTAINER_OF = {
    Pseudo.ANYARRAY: BaseType.ARRAY,
    Pseudo.ANYCOMPATIBLEARRAY: BaseType.ARRAY,
    Pseudo.ANYRANGE: BaseType.RANGE,
    Pseudo.ANYCOMPATIBLELIST: BaseType.LIST,
    Pseudo.LIST: BaseType.LIST,
    Pseudo.ANYCOMPATIBLEMAP: BaseType.MAP,
    Pseudo.MAP: BaseType.MAP,
    Pseudo.RECORD: BaseType.RECORD,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An overload and what its polymorphic types stand for.

    Attributes:
        signature: The overload.
        targets: The type that each argument is to be coerced to.
        result: The type of the result; None where the function decides (``setof record``).
    """

    signature: Signature
    targets: tuple[ScalarType, ...]
    result: ScalarType | None


class Ambiguous:
    """Several overloads fit equally well."""


AMBIGUOUS = Ambiguous()


@lru_cache(maxsize=_CACHED_CHOICES_MAX)
def choose_operator(symbol: str, types: tuple[ScalarType, ...]) -> Choice | Ambiguous | None:
    """Return the overload that an operator over ``types`` chooses; see :func:`choose`."""
    count = len(types)
    overloads = tuple(s for s in lookup_operator(symbol) if len(s.args) == count)
    return choose(overloads, types, operator=True)


@lru_cache(maxsize=_CACHED_CHOICES_MAX)
def choose_function(name: str, types: tuple[ScalarType, ...]) -> Choice | Ambiguous | None:
    """Return the overload that a call with ``types`` chooses; see :func:`choose`."""
    return choose(lookup(name), types)


def choose(
    overloads: tuple[Signature, ...], types: tuple[ScalarType, ...], *, operator: bool = False
) -> Choice | Ambiguous | None:
    """Return the overload that arguments of ``types`` choose; None if none fits.

    Types may be ``unknown``. ``operator`` adds the rule that an unknown operand of a binary
    operator is first assumed to have the other's type.
    """
    count = len(types)
    candidates = [s for s in overloads if _accepts_count(s, count)]
    if not candidates:
        return None
    if operator and count == 2 and (types[0] is UNKNOWN) != (types[1] is UNKNOWN):
        known = types[1] if types[0] is UNKNOWN else types[0]
        exact = _exact(candidates, (known, known))
        if exact is not None:
            return _bind(exact, (known, known))
    if operator and count == 2:
        types = _with_float8(_with_one_sign(types))
    exact = _exact(candidates, types)
    if exact is not None:
        return _bind(exact, types)
    fitting = [s for s in candidates if _fits(s, types)]
    if not operator and all(type.base is BaseType.UNKNOWN for type in types):
        # Nothing tells whether the text is an array's.
        kinds = {_arg(s, index) for s in fitting for index in range(count)}
        if {Pseudo.ANYARRAY, Pseudo.ANYNONARRAY} <= kinds:
            return AMBIGUOUS
    bound = [choice for s in fitting if (choice := _bind(s, types)) is not None]
    if len(bound) <= 1:
        return bound[0] if bound else None
    return _select(bound, types)


def open_overloads(name: str, types: tuple[ScalarType, ...]) -> int:
    """Return how many overloads fit but for a polymorphic type that nothing settles."""
    fitting = [s for s in lookup(name) if _accepts_count(s, len(types)) and _fits(s, types)]
    return sum(
        1
        for s in fitting
        if _bind(s, types) is None
        and any(
            type.base is BaseType.UNKNOWN and _arg(s, index) in _CONTAINER_OF
            for index, type in enumerate(types)
        )
    )


def _with_one_sign(types: tuple[ScalarType, ...]) -> tuple[ScalarType, ...]:
    """Return a signed and an unsigned integer as the next wider signed type, or numeric."""
    mixed = unsigned_mix(*types)
    return types if mixed is None else (mixed, mixed)


def _with_float8(types: tuple[ScalarType, ...]) -> tuple[ScalarType, ...]:
    """Return float4 beside another kind of number as float8.

    PostgreSQL has operators over float4 and float8, which win there; we have the casts alone.
    """
    left, right = types
    if left.base is right.base or BaseType.FLOAT4 not in (left.base, right.base):
        return types
    other = right if left.base is BaseType.FLOAT4 else left
    if CATEGORY[other.base] != "N":
        return types
    return tuple(FLOAT8 if type.base is BaseType.FLOAT4 else type for type in types)


def _accepts_count(signature: Signature, count: int) -> bool:
    declared = len(signature.args)
    return count == declared or (signature.variadic and count >= declared)


def _arg(signature: Signature, index: int) -> ArgType:
    args = signature.args
    return args[index] if index < len(args) else args[-1]


def _exact(candidates: Sequence[Signature], types: tuple[ScalarType, ...]) -> Signature | None:
    """Return the overload declared with just these types, modifiers aside."""
    for signature in candidates:
        if all(
            not isinstance(arg := _arg(signature, index), Pseudo) and same_type(arg, type)
            for index, type in enumerate(types)
        ):
            return signature
    return None


def _fits(signature: Signature, types: tuple[ScalarType, ...]) -> bool:
    for index, type in enumerate(types):
        arg = _arg(signature, index)
        if isinstance(arg, Pseudo):
            if not _fits_pseudo(arg, type):
                return False
        elif not can_coerce(type, arg, CastContext.IMPLICIT):
            return False
    return True


def _fits_pseudo(arg: Pseudo, type: ScalarType) -> bool:
    if type.base is BaseType.UNKNOWN:
        return True
    container = _CONTAINER_OF.get(arg)
    if container is not None:
        return type.base is container or (
            container is BaseType.ARRAY and type.base is BaseType.INT2VECTOR
        )
    if arg is Pseudo.ANYNONARRAY:
        return type.base is not BaseType.ARRAY
    return True


# --- polymorphism ---------------------------------------------------------------------------------


def _bind(signature: Signature, types: tuple[ScalarType, ...]) -> Choice | None:
    """Settle the polymorphic types of an overload, None if they contradict each other."""
    args = tuple(_arg(signature, index) for index in range(len(types)))
    if not any(isinstance(arg, Pseudo) for arg in args):
        result = signature.result
        if not isinstance(result, Pseudo):
            return Choice(signature, args, result)  # type: ignore[arg-type]
    family = _bind_same(args, types)
    compatible = _bind_compatible(args, types)
    lists = _bind_lists(args, types)
    if family is _CLASH or compatible is _CLASH or lists is _CLASH:
        return None
    bindings = _Bindings(family, compatible, lists)
    targets = []
    for arg, type in zip(args, types, strict=True):
        target = _target(arg, type, bindings)
        if target is None:
            return None
        targets.append(target)
    return Choice(signature, tuple(targets), _result(signature, tuple(targets), bindings))


_CLASH = ScalarType(BaseType.UNKNOWN, modifier=-1)


@dataclass(frozen=True, slots=True)
class _Bindings:
    """The element types of the three polymorphic families; None where nothing settled one."""

    same: ScalarType | None
    compatible: ScalarType | None
    lists: ScalarType | None


def _element_of(arg: ArgType, type: ScalarType) -> ScalarType:
    if arg in _CONTAINER_OF:
        if type.base is BaseType.INT2VECTOR:
            return ScalarType(BaseType.INT2)
        assert type.element is not None
        return type.element
    return type


def _bind_same(args: tuple[ArgType, ...], types: tuple[ScalarType, ...]) -> ScalarType | None:
    """Settle anyelement and its kin: all of one type, no casts between them."""
    found: ScalarType | None = None
    members = [(a, t) for a, t in zip(args, types, strict=True) if a in _SAME_FAMILY]
    for arg, type in members:
        if type.base is BaseType.UNKNOWN:
            continue
        element = _element_of(arg, type)
        if found is None:
            found = element
        elif not same_type(found, element):
            return _CLASH
        elif found.modifier != element.modifier:
            found = found.without_modifier()
    if members and found is None and any(arg in _ELEMENTS for arg, _ in members):
        return TEXT
    return found


def _bind_compatible(args: tuple[ArgType, ...], types: tuple[ScalarType, ...]) -> ScalarType | None:
    """Settle anycompatible and its kin: the common type of all."""
    members = [(a, t) for a, t in zip(args, types, strict=True) if a in _COMPATIBLE]
    if not members:
        return None
    elements = [UNKNOWN if t.base is BaseType.UNKNOWN else _element_of(a, t) for a, t in members]
    common = try_common_type(elements)
    return _CLASH if isinstance(common, tuple) else common


def _bind_lists(args: tuple[ArgType, ...], types: tuple[ScalarType, ...]) -> ScalarType | None:
    """Settle the element of lists and the value of maps."""
    found: list[ScalarType] = []
    for arg, type in zip(args, types, strict=True):
        if type.base is BaseType.UNKNOWN:
            continue
        if arg in (Pseudo.ANYCOMPATIBLELIST, Pseudo.ANYCOMPATIBLEMAP, Pseudo.LIST, Pseudo.MAP):
            assert type.element is not None
            found.append(type.element)
        elif arg in (Pseudo.LIST_ELEMENT, Pseudo.MAP_VALUE):
            found.append(type)
    if not found:
        return None
    common = try_common_type(found)
    return _CLASH if isinstance(common, tuple) else common


def _target(arg: ArgType, type: ScalarType, bindings: _Bindings) -> ScalarType | None:
    """Return the type that an argument is coerced to, None if it cannot be."""
    if not isinstance(arg, Pseudo):
        return arg
    if arg is Pseudo.ANY:
        return TEXT if type.base is BaseType.UNKNOWN else type
    if arg is Pseudo.RECORD:
        return None if type.base is BaseType.UNKNOWN else type
    if arg in (Pseudo.LIST, Pseudo.MAP):
        return None if type.base is BaseType.UNKNOWN else type
    wanted = _settled(arg, bindings)
    if wanted is None:
        return None
    if type.base is BaseType.UNKNOWN or same_type(type, wanted):
        return wanted if type.base is BaseType.UNKNOWN else type
    if type.base is BaseType.INT2VECTOR:
        return wanted
    if type.base is BaseType.ARRAY and type.element is not None and wanted.element is not None:
        fits = can_coerce(type.element, wanted.element, CastContext.IMPLICIT)
        return wanted if fits else None
    return wanted if can_coerce(type, wanted, CastContext.IMPLICIT) else None


def _settled(arg: Pseudo, bindings: _Bindings) -> ScalarType | None:
    """Return the type that a polymorphic type stands for."""
    if arg in _SAME_FAMILY:
        element = bindings.same
    elif arg in _COMPATIBLE:
        element = bindings.compatible
    else:
        element = bindings.lists
    if element is None:
        return None
    if arg in (Pseudo.ANYARRAY, Pseudo.ANYCOMPATIBLEARRAY):
        return array_of(element)
    if arg is Pseudo.ANYRANGE:
        return range_of(element)
    if arg in (Pseudo.ANYCOMPATIBLELIST, Pseudo.LIST):
        return list_of(element)
    if arg in (Pseudo.ANYCOMPATIBLEMAP, Pseudo.MAP):
        return map_of(element)
    return element


def _result(
    signature: Signature, targets: tuple[ScalarType, ...], bindings: _Bindings
) -> ScalarType | None:
    declared = signature.result
    if not isinstance(declared, Pseudo):
        return declared
    if declared is Pseudo.RECORD:
        return None
    if declared is Pseudo.ANY:
        return targets[0] if targets else None
    settled = _settled(declared, bindings)
    if settled is not None:
        return settled
    if declared is Pseudo.LIST and targets:
        return list_of(targets[-1])
    if declared is Pseudo.MAP and targets:
        return map_of(targets[-1])
    raise InternalError("result type is open", detail=signature.name)


def settle(arg: ArgType, choice: Choice) -> ScalarType | None:
    """Return what a type of a table function's column stands for under ``choice``."""
    if not isinstance(arg, Pseudo):
        return arg
    args = tuple(_arg(choice.signature, index) for index in range(len(choice.targets)))
    bindings = _Bindings(
        _bind_same(args, choice.targets),
        _bind_compatible(args, choice.targets),
        _bind_lists(args, choice.targets),
    )
    return _settled(arg, bindings)


# --- selection ------------------------------------------------------------------------------------


def _select(choices: list[Choice], types: tuple[ScalarType, ...]) -> Choice | Ambiguous:
    """Narrow several overloads down by PostgreSQL's steps 4.a to 4.f."""
    known = [index for index, type in enumerate(types) if type.base is not BaseType.UNKNOWN]
    choices = _best(choices, lambda c: _count_exact(c, types, known))
    if len(choices) == 1:
        return choices[0]
    choices = _best(choices, lambda c: _count_preferred(c, types, known))
    if len(choices) == 1:
        return choices[0]
    unknown = [index for index in range(len(types)) if index not in known]
    if not unknown:
        return AMBIGUOUS
    choices = _by_category(choices, unknown)
    if len(choices) == 1:
        return choices[0]
    if known and all(same_type(types[index], types[known[0]]) for index in known):
        assumed = types[known[0]]
        fitting = [
            c
            for c in choices
            if all(can_coerce(assumed, c.targets[i], CastContext.IMPLICIT) for i in unknown)
        ]
        if len(fitting) == 1:
            return fitting[0]
    if known:
        # Beyond PostgreSQL: the one overload that takes preferred types, as for date + '1 day'.
        best = [c for c in choices if all(c.targets[i].base in PREFERRED for i in unknown)]
        if len(best) == 1:
            return best[0]
    return AMBIGUOUS


def _best(choices: list[Choice], score: Callable[[Choice], int]) -> list[Choice]:
    scores = [score(choice) for choice in choices]
    best = max(scores)
    return [choice for choice, found in zip(choices, scores, strict=True) if found == best]


def _is_declared(choice: Choice, index: int) -> bool:
    return not isinstance(_arg(choice.signature, index), Pseudo)


def _count_exact(choice: Choice, types: tuple[ScalarType, ...], known: list[int]) -> int:
    return sum(
        1 for i in known if _is_declared(choice, i) and same_type(choice.targets[i], types[i])
    )


def _count_preferred(choice: Choice, types: tuple[ScalarType, ...], known: list[int]) -> int:
    count = 0
    for index in known:
        target, type = choice.targets[index], types[index]
        preferred = target.base in PREFERRED and CATEGORY[target.base] == CATEGORY[type.base]
        if _is_declared(choice, index) and (same_type(target, type) or preferred):
            count += 1
    return count


def _by_category(choices: list[Choice], unknown: list[int]) -> list[Choice]:
    """Prefer, for each unknown argument, strings; else the one category that all accept."""
    for index in unknown:
        categories = [
            CATEGORY[c.targets[index].base] if _is_declared(c, index) else "P" for c in choices
        ]
        if "S" in categories:
            chosen = "S"
        elif len(set(categories)) == 1:
            chosen = categories[0]
        else:
            return choices
        choices = [c for c, category in zip(choices, categories, strict=True) if category == chosen]
        preferred = [c for c in choices if c.targets[index].base in PREFERRED]
        if preferred:
            choices = preferred
    return choices
