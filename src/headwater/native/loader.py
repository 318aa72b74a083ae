"""The one place that imports the compiled module."""

from headwater.native import _native as native

__all__ = ["native"]
