"""
The gateway between a codec and a WSGI application (PEP 3333).
"""
