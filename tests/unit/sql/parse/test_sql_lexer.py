"""The lexer against PostgreSQL's rules."""

import pytest

from headwater.errors import HeadwaterError, NameTooLong, StatementTooComplex, SyntaxError_
from headwater.sql.parse import lexer
from headwater.sql.parse.lexer import Kind, tokenize


def _tokens(text: str) -> list[tuple[Kind, str]]:
    tokens = tokenize(text)
    assert tokens.kinds[-1] is Kind.END
    return list(zip(tokens.kinds, tokens.values, strict=True))[:-1]


def _values(text: str) -> list[str]:
    return [value for _, value in _tokens(text)]


def test_words_fold_to_lower_case_and_quoted_names_do_not() -> None:
    assert _tokens('SELECT foo_$1 "A""b" é') == [
        (Kind.WORD, "select"),
        (Kind.WORD, "foo_$1"),
        (Kind.QUOTED, 'A"b'),
        (Kind.QUOTED, "é"),
    ]


def test_folding_is_ascii_only_and_no_letter_becomes_a_keyword() -> None:
    # The long s has an upper-case form, S, which must not make SELECT of it.
    assert _tokens("\u017felect ÄB") == [(Kind.QUOTED, "\u017felect"), (Kind.QUOTED, "Äb")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("'back\\slash'", "back\\slash"),
        (r"E'\b\f\n\r\t\\\'\q'", "\b\f\n\r\t\\'q"),
        (r"e'\u00e9\U0001F600\x41\101'", "é😀AA"),
        (r"E'\uD83D\uDE00'", "😀"),
        (r"U&'\0041\+0000e9\\'", "Aé\\"),
        ("$$it's$$", "it's"),
        ("$a$ $$ $b$ $a$", " $$ $b$ "),
        ("'a'\n  -- comment\n 'b'", "ab"),
        ("N'x'", "x"),
    ],
)
def test_strings(text: str, value: str) -> None:
    assert _tokens(text) == [(Kind.STRING, value)]


def test_strings_on_one_line_are_two_strings() -> None:
    assert _values("'a' 'b'") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("4.2", "4.2"),
        ("4.", "4."),
        (".5", ".5"),
        ("1e10", "1e10"),
        ("1.5E-3", "1.5E-3"),
        ("0x1F", "31"),
        ("0o17", "15"),
        ("0b101", "5"),
        ("1_000_000", "1000000"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_numbers(text: str, value: str) -> None:
    assert _tokens(text) == [(Kind.NUMBER, value)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a<-1", ["a", "<", "-", "1"]),
        ("a@-1", ["a", "@-", "1"]),
        ("a->>'b'", ["a", "->>", "b"]),
        ("a--b\n+c", ["a", "+", "c"]),
        ("a/* x /* y */ z */+b", ["a", "+", "b"]),
        ("a+/* x */b", ["a", "+", "b"]),
        ("a::int", ["a", "::", "int"]),
        ("f(a=>-1)", ["f", "(", "a", "=>", "-", "1", ")"]),
        ("m[1:2]", ["m", "[", "1", ":", "2", "]"]),
        ("1..2", ["1", "..", "2"]),
        ("x!=y", ["x", "!=", "y"]),
        ("$1$2", ["1", "2"]),
    ],
)
def test_operators_and_punctuation(text: str, values: list[str]) -> None:
    assert _values(text) == values


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("a 'b", 'unterminated quoted string at or near "\'b"', 3),
        ('a "b', 'unterminated quoted identifier at or near ""b"', 3),
        ("a /* b", 'unterminated /* comment at or near "/* b"', 3),
        ("a $$b", 'unterminated dollar-quoted string at or near "$$b"', 3),
        ('""', 'zero-length delimited identifier at or near """"', 1),
        ("12a", 'trailing junk after numeric literal at or near "12a"', 1),
        ("$1a", 'trailing junk after parameter at or near "$1a"', 1),
        ("$0", 'parameter number out of range at or near "$0"', 1),
        ("$65536", 'parameter number out of range at or near "$65536"', 1),
        ("x'ff'", "hex string literals are not supported", 1),
        (r"E'\u12'", "invalid Unicode escape at or near \"E'\\u12'\"", 1),
        (r"E'\uD83D'", "invalid Unicode surrogate pair at or near \"E'\\uD83D'\"", 1),
        (r"E'\xff'", "invalid escape at or near \"E'\\xff'\"", 1),
        (r"E'\0'", "invalid escape at or near \"E'\\0'\"", 1),
        (r"U&'\00'", "invalid Unicode escape at or near \"U&'\\00'\"", 1),
        ("a \\ b", 'syntax error at or near "\\"', 3),
        ("a \0 b", 'syntax error at or near "\0"', 3),
    ],
)
def test_bad_text_is_a_syntax_error_with_its_position(
    text: str, message: str, position: int
) -> None:
    with pytest.raises(SyntaxError_) as caught:
        tokenize(text)
    assert (str(caught.value), caught.value.position) == (message, position)


@pytest.mark.parametrize("name", ["a" * 256, "é" * 128, '"' + "x" * 256 + '"'])
def test_identifiers_have_a_limit_in_bytes(name: str) -> None:
    with pytest.raises(NameTooLong) as caught:
        tokenize(f"select {name}")
    assert caught.value.position == 8


def test_identifiers_at_the_limit_pass() -> None:
    assert _values("a" * 255) == ["a" * 255]
    assert _values("é" * 127) == ["é" * 127]


def test_text_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexer, "STATEMENT_CHARACTERS_MAX", 100)
    assert tokenize(" " * 100).kinds == [Kind.END]
    with pytest.raises(StatementTooComplex):
        tokenize(" " * 101)


def test_long_numbers_are_refused_before_they_are_converted() -> None:
    with pytest.raises(HeadwaterError):
        tokenize("0x" + "f" * 100_000)


def test_positions_count_characters() -> None:
    tokens = tokenize("é 'ß' x")
    assert tokens.starts == [0, 2, 6, 7]
    assert tokens.ends == [1, 5, 7, 7]
