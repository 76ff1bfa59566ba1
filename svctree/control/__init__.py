"""
The control socket, status and metrics.
"""
