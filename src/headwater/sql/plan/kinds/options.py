"""Reading WITH options: each known once, typed, unknown ones refused by name."""

from collections.abc import Iterable, Mapping

from headwater.catalog.items import ItemKind
from headwater.errors import InvalidParameterValue
from headwater.ir.functions import CastContext
from headwater.ir.literals import (
    is_null,
    literal_bool,
    literal_float,
    literal_int,
    literal_interval,
    literal_text,
)
from headwater.ir.scalar import Literal
from headwater.sql.ast import query as ast
from headwater.sql.ast.base import ObjectName
from headwater.sql.ast.option import Option, OptionList, OptionValue, SecretRef
from headwater.sql.plan.context import ExprContext, StatementContext
from headwater.sql.plan.external import SecretRef as SecretId
from headwater.sql.plan.external import StringOrSecret
from headwater.sql.plan.fold import fold
from headwater.sql.resolve.scope import Scope
from headwater.types.scalar import BOOL, FLOAT8, INT8, INTERVAL, TEXT, UINT8, ScalarType

MICROSECONDS_PER_MS = 1_000
_DAY_MICROSECONDS = 86_400_000_000


class Options:
    """The options of one clause.

    Every reader takes the option's canonical name and removes it; what nobody has read when
    :meth:`finish` is called was not valid.
    """

    def __init__(
        self, ctx: StatementContext, options: Iterable[Option], what: str, valid: Iterable[str]
    ) -> None:
        self.ctx = ctx
        self.what = what
        self.found: dict[str, Option] = {}
        known = list(valid)
        for option in options:
            name = option.name
            if name not in known:
                listed = ", ".join(n.upper() for n in sorted(known)) or "none"
                raise InvalidParameterValue(
                    f"unknown {what} option {name.upper()}",
                    hint=f"Valid options are: {listed}.",
                    position=option.position,
                )
            if name in self.found:
                raise InvalidParameterValue(
                    f"{name.upper()} specified more than once", position=option.position
                )
            self.found[name] = option

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def position(self, name: str) -> int:
        """Return where an option stands, 0 if it does not."""
        option = self.found.get(name)
        return 0 if option is None else option.position

    def value(self, name: str) -> OptionValue | None:
        """Return an option's value as written; None if absent or bare."""
        option = self.found.get(name)
        return None if option is None else option.value

    def _literal(self, name: str, type: ScalarType) -> Literal | None:
        """Return an option's value as a constant of ``type``; None if absent or NULL."""
        option = self.found.get(name)
        if option is None:
            return None
        value = option.value
        if value is None:
            raise self.invalid(name, "a value is required")
        node = _as_expression(value)
        if node is None:
            raise self.invalid(name, "cannot use value as a constant")
        context = ExprContext(self.ctx, Scope.empty(), {}, self.what)
        expr = fold(context.plan_as(node, type, CastContext.ASSIGNMENT), node.position)
        if not isinstance(expr, Literal):
            raise self.invalid(name, "the value must be a constant")
        return None if is_null(expr) else expr

    def invalid(self, name: str, why: str) -> InvalidParameterValue:
        """Return the error for an option's value."""
        return InvalidParameterValue(f"invalid {name.upper()}: {why}", position=self.position(name))

    def text(self, name: str) -> str | None:
        """Return an option that is a string or a bare word."""
        value = self.value(name)
        if isinstance(value, ObjectName):
            return ".".join(value.parts)
        if isinstance(value, ast.Number):
            return value.text
        literal = self._literal(name, TEXT)
        return None if literal is None else literal_text(literal)

    def required_text(self, name: str) -> str:
        """Return an option that must be there. Raises: InvalidParameterValue."""
        found = self.text(name)
        if found is None:
            raise InvalidParameterValue(f"{self.what} option {name.upper()} is required")
        return found

    def boolean(self, name: str, default: bool) -> bool:
        """Return a Boolean option; bare it is true."""
        option = self.found.get(name)
        if option is None:
            return default
        value = option.value
        if value is None:
            return True
        if isinstance(value, ObjectName):
            word = value.last.lower()
            if word in ("on", "true", "yes"):
                return True
            if word in ("off", "false", "no"):
                return False
            raise self.invalid(name, "cannot use value as a boolean")
        if isinstance(value, ast.Number):
            if value.text in ("0", "1"):
                return value.text == "1"
            raise self.invalid(name, "cannot use value as a boolean")
        literal = self._literal(name, BOOL)
        return default if literal is None else bool(literal_bool(literal))

    def integer(self, name: str, *, minimum: int | None = 0) -> int | None:
        """Return a whole number, at least ``minimum``."""
        literal = self._literal(name, UINT8 if minimum is not None else INT8)
        if literal is None:
            return None
        value = literal_int(literal)
        assert value is not None
        if minimum is not None and value < minimum:
            raise self.invalid(name, f"must be at least {minimum}")
        return value

    def number(self, name: str) -> float | None:
        """Return a number."""
        value = self.value(name)
        if isinstance(value, ast.Number):
            return float(value.text)
        literal = self._literal(name, FLOAT8)
        return None if literal is None else literal_float(literal)

    def signed_interval_us(self, name: str) -> int | None:
        """Return an interval in microseconds, None if it is of months."""
        literal = self._literal(name, INTERVAL)
        assert literal is not None
        months, days, micros = literal_interval(literal)
        return None if months else days * _DAY_MICROSECONDS + micros

    def interval_us(self, name: str) -> int | None:
        """Return a duration in microseconds. Raises: InvalidParameterValue (months, negative)."""
        literal = self._literal(name, INTERVAL)
        if literal is None:
            return None
        months, days, micros = literal_interval(literal)
        if months:
            raise self.invalid(name, "cannot use an interval of months")
        total = days * _DAY_MICROSECONDS + micros
        if total < 0:
            raise self.invalid(name, "must not be negative")
        return total

    def interval_ms(self, name: str) -> int | None:
        """Return a duration in milliseconds, at least 1 unless it is 0."""
        micros = self.interval_us(name)
        return None if micros is None else -(-micros // MICROSECONDS_PER_MS)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings; one alone counts as a list of one."""
        value = self.value(name)
        if value is None:
            return ()
        items = value.items if isinstance(value, OptionList) else (value,)
        found = []
        for item in items:
            if isinstance(item, ast.String):
                found.append(item.value)
            elif isinstance(item, ObjectName):
                found.append(".".join(item.parts))
            elif isinstance(item, ast.Number):
                found.append(item.text)
            else:
                raise self.invalid(name, "must be a list of strings")
        return tuple(found)

    def name_of_item(self, name: str, *kinds: ItemKind) -> str | None:
        """Return the id of the item that an option names, which must be of these kinds."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, ObjectName):
            raise self.invalid(name, "must be an object's name")
        return self.ctx.names.item_of_kind(value, *kinds).id

    def string_or_secret(self, name: str) -> StringOrSecret | None:
        """Return a string, or the secret that SECRET names."""
        value = self.value(name)
        if isinstance(value, SecretRef):
            return self.secret(name)
        return self.text(name)

    def secret(self, name: str) -> SecretId | None:
        """Return a secret, which a string may not stand for."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, SecretRef):
            raise self.invalid(name, "must provide a secret: SECRET name")
        item = self.ctx.names.item_of_kind(value.name, ItemKind.SECRET)
        return SecretId(item.id)

    def choice(self, name: str, words: Mapping[str, str] | Iterable[str]) -> str | None:
        """Return one of some words, whatever their case."""
        found = self.text(name)
        if found is None:
            return None
        for word in words:
            if word.lower() == found.lower():
                return word
        listed = ", ".join(words)
        raise self.invalid(name, f'"{found}" is not one of {listed}')


def _as_expression(value: OptionValue) -> ast.Expr | None:
    if isinstance(value, ObjectName):
        return ast.String(value=".".join(value.parts), position=value.position)
    if isinstance(value, EXPRESSIONS):
        found: ast.Expr = value
        return found
    return None


EXPRESSIONS = (
    ast.String,
    ast.Number,
    ast.Boolean,
    ast.Null,
    ast.IntervalLiteral,
    ast.Cast,
    ast.Function,
    ast.UnaryOp,
    ast.BinaryOp,
    ast.Identifier,
)
