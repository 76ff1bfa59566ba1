"""
What runs in other processes: zygote, loops, connections. Never imports Twisted.
"""
