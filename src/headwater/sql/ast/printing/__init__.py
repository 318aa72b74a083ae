"""The printer's rules: one module a family of nodes, each with a table from node class to rule.

``writer`` holds what the rules share; ``ast.printer`` joins the tables and is the entry. A rule
gets the writer and a node and returns SQL that parses to an equal node.
"""
