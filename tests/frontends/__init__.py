"""
Real front ends from Debian's packages, with the configurations that the
documentation shows.
"""
