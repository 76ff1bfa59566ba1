"""
C{python -m svctree.worker}: the zygote of one generation, started by the master.
"""

from __future__ import annotations

from svctree.worker.zygote import main

if __name__ == "__main__":
    main()
