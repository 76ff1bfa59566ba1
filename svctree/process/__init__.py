"""
OS process integration.
"""
