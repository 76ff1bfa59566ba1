"""
The commands of C{svctree}: what the doors C{cli} and C{opi} have in common.
"""

from svctree.command.errors import CommandError
from svctree.command.options import COMMANDS, CommandOptions

__all__ = ["COMMANDS", "CommandError", "CommandOptions"]
