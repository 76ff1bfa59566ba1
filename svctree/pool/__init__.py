"""
The master's side of workers.
"""
