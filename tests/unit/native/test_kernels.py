"""The function table and the extension hold each other to the same kernels."""

from headwater.ir import functions
from headwater.native.loader import native


def test_every_kernel_of_the_table_exists():
    assert sorted(functions.kernels() - set(native.kernels())) == []


def test_every_kernel_is_in_the_table():
    assert sorted(set(native.kernels()) - functions.kernels()) == []
