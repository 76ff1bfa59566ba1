"""
C{python -m svctree} is the command C{svctree}.
"""

from svctree.cli import main

if __name__ == "__main__":
    main()
