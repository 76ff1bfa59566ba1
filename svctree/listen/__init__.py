"""
Addresses and sockets.
"""
