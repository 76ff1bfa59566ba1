"""
One schema for every option; the file format; the flags.
"""
