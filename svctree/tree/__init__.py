"""
The backbone: life cycle, containers, supervision, lookup.
"""
