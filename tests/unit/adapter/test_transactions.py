import pytest

from headwater.adapter.transactions import Transaction
from headwater.errors import HeadwaterError


def do(transaction, what):
    {
        "read": transaction.admit_read,
        "subscribe": transaction.admit_subscribe,
        "write": lambda: transaction.admit_write("INSERT"),
        "ddl": lambda: transaction.admit_ddl("CREATE TABLE"),
        "alone": lambda: transaction.admit_alone("DISCARD ALL"),
    }[what]()


@pytest.mark.parametrize(
    ("first", "second", "sqlstate"),
    [
        ("read", "read", None),
        ("read", "write", "25006"),
        ("read", "subscribe", "25000"),
        ("read", "ddl", "25001"),
        ("write", "write", None),
        ("write", "read", "25000"),
        ("write", "subscribe", "25000"),
        ("write", "ddl", "25001"),
        ("subscribe", "subscribe", "25000"),
        ("subscribe", "read", "25000"),
        ("subscribe", "write", "25006"),
        ("ddl", "ddl", None),
        ("ddl", "read", "25000"),
        ("ddl", "write", "25000"),
        ("ddl", "alone", "25001"),
    ],
)
def test_kinds_do_not_mix_in_a_block(first, second, sqlstate):
    transaction = Transaction(implicit=False)
    do(transaction, first)
    if sqlstate is None:
        do(transaction, second)
        return
    with pytest.raises(HeadwaterError) as error:
        do(transaction, second)
    assert error.value.sqlstate == sqlstate


def test_a_read_only_block_takes_no_writes():
    transaction = Transaction(implicit=False)
    transaction.read_only = True
    do(transaction, "read")
    with pytest.raises(HeadwaterError, match="transaction in read-only mode"):
        do(transaction, "write")
