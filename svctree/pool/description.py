"""
What a pool is made of, for whoever writes its tree down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from zope.interface import implementer

from svctree.interfaces import IDescribable
from svctree.settings import PoolSettings

if TYPE_CHECKING:
    from svctree.pool.service import PoolService

__all__ = ["PoolDescription"]


@implementer(IDescribable)
class PoolDescription:
    """
    Adapts a pool, whose attribute C{settings} is something else.
    """

    def __init__(self, pool: PoolService) -> None:
        self._pool = pool

    def settings(self) -> dict[str, Any]:
        """
        @return: the keywords that make a pool like this one, without the options that
            have their defaults.
        @raise ValueError: a listener without a name was handed to the pool.
        """
        usual = PoolSettings(application=self._pool.settings.application)
        made = {
            field.name: value
            for field in attrs.fields(PoolSettings)
            if (value := getattr(self._pool.settings, field.name))
            != getattr(usual, field.name)
        }
        made.pop("application", None)
        return {
            "application": self._pool.settings.application,
            "listeners": [self._nameOf(each) for each in self._pool.wanted],
            **made,
        }

    def _nameOf(self, listener: Any) -> str:
        name = listener if isinstance(listener, str) else listener.name
        if not name:
            raise ValueError("it was handed a listener that has no name to find it by")
        return str(name)
