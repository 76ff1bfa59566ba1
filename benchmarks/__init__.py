"""
Measurements: each beside a peer, in one run, since only ratios travel between
machines.
"""
