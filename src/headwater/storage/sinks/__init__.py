"""Writers to external systems, one module a kind, and the loop that feeds them.

Modules: ``running`` (follow a collection, hand over whole timestamps), ``kafka``.
"""
