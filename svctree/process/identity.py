"""
Which user a process is, and how it becomes another one for good.
"""

from __future__ import annotations

import grp
import os
import pwd

import attrs

__all__ = ["Identity", "IdentityError", "resolveGroup", "resolveUser"]


class IdentityError(Exception):
    """
    A user or group does not exist, or the process could not become it.
    """

    exitStatus = 1


@attrs.frozen
class Identity:
    """
    A user, its group and its supplementary groups.

    @ivar uid: the user id, or L{None} to keep the user.
    @ivar gid: the group id, or L{None} to keep the group.
    @ivar groups: the supplementary groups, set together with the group.
    @ivar name: the user's name; empty when it has no entry in the database.
    @ivar home: the user's home directory; empty when it has none.
    """

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    name: str = ""
    home: str = ""

    @classmethod
    def resolve(
        cls, user: str | int | None = None, group: str | int | None = None
    ) -> Identity:
        """
        Look a user and a group up, by name or by id.

        Without C{group} it is the user's own. A numeric user that has no entry in
        the database, and no C{group}, gets the group of the same number: any
        default would do that is not the group of whoever started the process.

        @raise IdentityError: there is none of that name.
        """
        if user in (None, "") and group in (None, ""):
            return cls()
        uid: int | None = None
        gid: int | None = None
        name = home = ""
        if user not in (None, ""):
            assert user is not None
            uid, entry = resolveUser(user)
            gid = uid if entry is None else entry.pw_gid
            if entry is not None:
                name, home = entry.pw_name, entry.pw_dir
        if group not in (None, ""):
            assert group is not None
            gid = resolveGroup(group)
        assert gid is not None
        groups = os.getgrouplist(name, gid) if name else [gid]
        return cls(uid, gid, tuple(sorted(set(groups))), name, home)

    @property
    def given(self) -> bool:
        """
        Whether there is anything to change.
        """
        return self.uid is not None or self.gid is not None

    def isCurrent(self) -> bool:
        """
        @return: whether the process is this user and group already, in every
            respect that would let it be another one again.
        """
        return (self.uid is None or _userIds() == {self.uid}) and (
            self.gid is None
            or (
                _groupIds() == {self.gid}
                and set(os.getgroups()) <= {self.gid, *self.groups}
            )
        )

    def remarks(self, effective: int | None = None) -> list[tuple[str, str]]:
        """
        What an operator should hear about this choice, before it is made.

        @param effective: the user id that asks; the process's own when omitted.
        @return: pairs of level (C{"notice"} or C{"warning"}) and sentence.
        """
        if effective is None:
            effective = os.geteuid()
        if effective != 0:
            if self.given and not self.isCurrent():
                return [
                    (
                        "notice",
                        f"not root: user and group ({self}) are ignored, "
                        f"going on as uid {effective}",
                    )
                ]
            return []
        if self.uid is None:
            return [
                (
                    "warning",
                    "running as root: set 'user' (and 'group') to an account "
                    "without privileges",
                )
            ]
        return []

    def assume(self) -> bool:
        """
        Become this identity, for good. Only root can; for others nothing happens.

        The group goes first, because the user may not change it any more.

        @return: whether anything was changed.
        @raise IdentityError: it did not work, or could be undone. The process must
            not go on then.
        """
        if not self.given or self.isCurrent() or os.geteuid() != 0:
            return False
        try:
            if self.gid is not None:
                os.setgroups(list(self.groups))
                _setGroup(self.gid)
            if self.uid is not None:
                _setUser(self.uid)
        except OSError as error:
            raise IdentityError(
                f"cannot become {self}: {error.strerror}; "
                "start as root with CAP_SETUID and CAP_SETGID, or set no user"
            ) from error
        self._verify()
        return True

    def environment(self) -> dict[str, str]:
        """
        @return: the variables that tell a program who it is; without them an
            application would look for its files in root's home.
        """
        if not self.name:
            return {}
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}

    def _verify(self) -> None:
        if not self.isCurrent():
            raise IdentityError(
                f"the change to {self} is incomplete: uids {_userIds()}, "
                f"gids {_groupIds()}, groups {os.getgroups()}"
            )
        if self.uid:
            try:
                _setUser(0)
            except PermissionError:
                return
            raise IdentityError(
                f"the change to {self} could be undone: the process still has the "
                "capability to set its user"
            )

    def __str__(self) -> str:
        user = "" if self.uid is None else f"user {self.name or self.uid}"
        group = "" if self.gid is None else f"group {_groupName(self.gid)}"
        return ", ".join(filter(None, [user, group])) or "the present user"


def resolveUser(user: str | int) -> tuple[int, pwd.struct_passwd | None]:
    """
    @return: the user id, and the database's entry if there is one.
    @raise IdentityError: no such name, or a number that is no user id.
    """
    number = _number(user, "user")
    if number is not None:
        try:
            return number, pwd.getpwuid(number)
        except KeyError:
            return number, None
    try:
        entry = pwd.getpwnam(str(user))
    except KeyError:
        raise IdentityError(
            f"user: there is no user {user!r}; give a name from the user database "
            "or a numeric id"
        ) from None
    return entry.pw_uid, entry


def resolveGroup(group: str | int) -> int:
    """
    @return: the group id.
    @raise IdentityError: no such name, or a number that is no group id.
    """
    number = _number(group, "group")
    if number is not None:
        return number
    try:
        return grp.getgrnam(str(group)).gr_gid
    except KeyError:
        raise IdentityError(
            f"group: there is no group {group!r}; give a name from the group "
            "database or a numeric id"
        ) from None


# macOS has no saved ids to ask for or to set; as root, its setuid sets all of them.


def _userIds() -> set[int]:
    if hasattr(os, "getresuid"):
        return set(os.getresuid())
    return {os.getuid(), os.geteuid()}


def _groupIds() -> set[int]:
    if hasattr(os, "getresgid"):
        return set(os.getresgid())
    return {os.getgid(), os.getegid()}


def _setUser(uid: int) -> None:
    if hasattr(os, "setresuid"):
        os.setresuid(uid, uid, uid)
    else:
        os.setuid(uid)


def _setGroup(gid: int) -> None:
    if hasattr(os, "setresgid"):
        os.setresgid(gid, gid, gid)
    else:
        os.setgid(gid)


def _number(value: str | int, what: str) -> int | None:
    text = str(value)
    if not (text.isascii() and text.lstrip("-").isdigit()):
        return None
    number = int(text)
    # All bits set is what the kernel reads as "leave it alone".
    if not 0 <= number < 2**32 - 1:
        raise IdentityError(f"{what}: {text} is no {what} id (0 to {2**32 - 2})")
    return number


def _groupName(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
