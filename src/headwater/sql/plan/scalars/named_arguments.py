"""Calls that name their arguments, ``make_interval(days => 10)``, as calls that do not.

Source: PostgreSQL, section 4.3, and the names in its ``pg_proc.dat``. Functions that are not listed
have no names here, as most have none there.
"""

import msgspec

from headwater.errors import SyntaxError_, UndefinedFunction
from headwater.sql.ast import query as ast
from headwater.sql.parse.parser import parse_expression

_PATH = "target path vars={} silent=false"
# Functions: the names of their parameters in order, with what stands for one that is left out
# where others follow.
_LISTED = {
    "jsonb_insert": "jsonb_in path replacement insert_after=false",
    "jsonb_path_exists": _PATH,
    "jsonb_path_match": _PATH,
    "jsonb_path_query": _PATH,
    "jsonb_path_query_array": _PATH,
    "jsonb_path_query_first": _PATH,
    "jsonb_set": "jsonb_in path replacement create_if_missing=true",
    "jsonb_set_lax": "jsonb_in path replacement create_if_missing=true null_value_treatment",
    "make_date": "year month day",
    "make_interval": "years=0 months=0 weeks=0 days=0 hours=0 mins=0 secs=0",
    "make_time": "hour min sec",
    "make_timestamp": "year month mday hour min sec",
    "make_timestamptz": "year month mday hour min sec timezone",
}
_PARAMETERS: dict[str, tuple[tuple[str, str], ...]] = {
    function: tuple(
        (name, default) for name, _, default in (w.partition("=") for w in words.split())
    )
    for function, words in _LISTED.items()
}


def positional(node: ast.Function) -> ast.Function:
    """Return the call with every argument in its place; itself where none is named.

    Raises: SyntaxError_ (a name twice, or a place after a name); UndefinedFunction (a name that
    the function has not, or a parameter without an argument).
    """
    if not any(isinstance(argument, ast.NamedArgument) for argument in node.arguments):
        return node
    parameters = _PARAMETERS.get(node.name.last, ())
    places = {name: place for place, (name, _) in enumerate(parameters)}
    given: dict[int, ast.Expr] = {}
    is_named = False
    for place, argument in enumerate(node.arguments):
        if not isinstance(argument, ast.NamedArgument):
            if is_named:
                raise SyntaxError_(
                    "positional argument cannot follow named argument", position=argument.position
                )
            given[place] = argument
            continue
        is_named = True
        named = places.get(argument.name)
        if named is None:
            raise UndefinedFunction(
                f'function {node.name.last} has no parameter "{argument.name}"',
                position=node.position,
            )
        if named in given:
            raise SyntaxError_(
                f'argument name "{argument.name}" used more than once', position=argument.position
            )
        given[named] = argument.value
    arguments = tuple(_argument(node, given, place) for place in range(max(given) + 1))
    return msgspec.structs.replace(node, arguments=arguments)


def _argument(node: ast.Function, given: dict[int, ast.Expr], place: int) -> ast.Expr:
    if place in given:
        return given[place]
    name, default = _PARAMETERS[node.name.last][place]
    if not default:
        raise UndefinedFunction(
            f'function {node.name.last} lacks an argument for its parameter "{name}"',
            position=node.position,
        )
    return parse_expression("'{}'" if default == "{}" else default)
