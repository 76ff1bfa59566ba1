"""
L{svctree.process.identity}: looked up in this process, assumed in children.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys

import pytest

from svctree.process import Identity, IdentityError

needsRoot = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def becomes(code: str) -> subprocess.CompletedProcess[str]:
    """
    Run C{code} in a fresh interpreter, where an identity can be given away.
    """
    script = "import os\nfrom svctree.process.identity import *\n" + code
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_byNameAndById() -> None:
    """
    A name and its number are the same user, with that user's groups.
    """
    entry = pwd.getpwnam("nobody")
    byName = Identity.resolve("nobody")
    assert byName == Identity.resolve(str(entry.pw_uid))
    assert (byName.uid, byName.gid) == (entry.pw_uid, entry.pw_gid)
    assert entry.pw_gid in byName.groups


def test_groupOfItsOwn() -> None:
    """
    A group overrides the user's own, and may be a number.
    """
    other = grp.getgrgid(1)
    for group in (other.gr_name, 1, "1"):
        assert Identity.resolve("nobody", group).gid == 1


def test_numberWithoutEntry() -> None:
    """
    A number that the database does not know works, and does not get root's group.
    """
    identity = Identity.resolve("54321")
    assert (identity.uid, identity.gid, identity.groups) == (54321, 54321, (54321,))


@pytest.mark.parametrize(
    "user, group, words",
    [
        ("no-such-user", None, "no user 'no-such-user'"),
        (None, "no-such-group", "no group 'no-such-group'"),
        (-1, None, "is no user id"),
        (2**32 - 1, None, "is no user id"),
        (1, 2**32, "is no group id"),
    ],
)
def test_unknown(user: str | int, group: str | int | None, words: str) -> None:
    """
    What does not exist is refused in one line that says what is wrong.
    """
    with pytest.raises(IdentityError, match=words):
        Identity.resolve(user, group)


def test_remarks() -> None:
    """
    root without a user is a warning; a user without root is a notice.
    """
    given = Identity.resolve(os.getuid() + 54321)
    assert given.remarks(0) == []
    assert given.remarks(1000)[0][0] == "notice"
    assert Identity().remarks(0)[0][0] == "warning"
    assert Identity().remarks(1000) == []


@needsRoot
def test_assumeForGood() -> None:
    """
    All three uids and gids change, the supplementary groups too, and there is no
    way back.
    """
    done = becomes(
        "os.setgroups([0, 4])\n"
        "assert Identity.resolve('nobody').assume()\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups())\n"
        "try: os.setuid(0)\n"
        "except PermissionError: print('stuck')\n"
    )
    nobody = pwd.getpwnam("nobody")
    assert done.stdout.splitlines() == [
        f"{(nobody.pw_uid,) * 3} {(nobody.pw_gid,) * 3} [{nobody.pw_gid}]",
        "stuck",
    ], done.stderr


@needsRoot
def test_assumeNumbers() -> None:
    """
    Ids that no database knows can be assumed; again is no change.
    """
    done = becomes(
        "me = Identity.resolve(54321, 54322)\n"
        "print(me.assume(), os.getresuid(), os.getgroups(), me.assume())\n"
    )
    assert done.stdout == "True (54321, 54321, 54321) [54322] False\n", done.stderr


@needsRoot
def test_failureIsFatal() -> None:
    """
    Without the capability the change fails with a readable error.
    """
    done = becomes(
        "from unittest import mock\n"
        "with mock.patch.object(os, 'setresgid', side_effect=PermissionError(1, 'no')):"
        "\n    Identity.resolve(54321).assume()\n"
    )
    assert done.returncode == 1
    assert "IdentityError: cannot become user 54321, group 54321: no" in done.stderr


@needsRoot
def test_incompleteChangeIsNoticed() -> None:
    """
    A system call that claims success without effect does not go unnoticed.
    """
    done = becomes(
        "os.setresuid = lambda *ids: None\nIdentity.resolve(54321).assume()\n"
    )
    assert done.returncode == 1
    assert "IdentityError: the change to user 54321" in done.stderr


@needsRoot
def test_notRootChangesNothing() -> None:
    """
    An ordinary user keeps being itself.
    """
    done = becomes(
        "Identity.resolve(54321).assume()\n"
        "print(Identity.resolve('nobody').assume(), os.getuid())\n"
    )
    assert done.stdout == "False 54321\n", done.stderr


@needsRoot
def test_withoutSavedIds() -> None:
    """
    Where the system has no saved ids to set (macOS), the change is for good as well.
    """
    done = becomes(
        "for name in ('getresuid', 'getresgid', 'setresuid', 'setresgid'):\n"
        "    delattr(os, name)\n"
        "print(Identity.resolve(54321).assume(), os.getuid(), os.geteuid())\n"
    )
    assert done.stdout == "True 54321 54321\n", done.stderr


def test_supplementaryGroups(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The supplementary groups are those of the user, and the chosen group.
    """
    entry = pwd.getpwnam("nobody")

    def groups(name: str, group: int) -> list[int]:
        assert name == "nobody"
        return [group, 27, 20, group]

    monkeypatch.setattr(os, "getgrouplist", groups)
    assert Identity.resolve("nobody").groups == (20, 27, entry.pw_gid)
    assert Identity.resolve("nobody", 5).groups == (5, 20, 27)
