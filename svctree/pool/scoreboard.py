"""
The scoreboard: what every worker is doing, in shared memory.

Workers write without system calls, everyone reads. One fixed slot for each worker,
in it one cell for each request that the worker can have in hand (one for each
thread). All numbers are 64-bit words in the machine's order, each written whole by
one writer; a reader may see two words of different moments, never half a word.

The memory is an anonymous file (memfd where there is one, else an unlinked
temporary file), so that it can be handed on by descriptor. Counters belong to the
slot, not to the process: a replacement goes on counting where its predecessor
stopped, and totals never fall.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import tempfile
from typing import NamedTuple

__all__ = ["NOTE", "Cell", "Scoreboard", "Slot", "SlotReport", "State"]

# Words of a slot's head.
PID, GENERATION, STATE, REQUESTS, BYTES_IN, BYTES_OUT, BEAT, CONNECTIONS = range(8)
THREADS, ERRORS, LOGS = 8, 9, 10
_HEAD_WORDS = 16

# A cell: one word for the start, one for the length of the text, then the text.
_TEXT_SIZE = 112
_CELL_WORDS = 2 + _TEXT_SIZE // 8

NOTE = struct.Struct(f"qq{_TEXT_SIZE}s").pack_into
"""Writes a cell: memory, 0, start, length of the text (readers bound it), the text."""


class State:
    """
    The states of a worker, as written in its slot.
    """

    EMPTY, BOOTING, IDLE, BUSY, RETIRING, STUCK = range(6)
    names = ("empty", "booting", "idle", "busy", "retiring", "stuck")


class Cell:
    """
    One request in hand.

    Hot path: L{NOTE}C{(cell.memory, 0, time.monotonic_ns(), len(line), line)} when the
    application is called, which is one call of C for all of it, and C{words[0] = 0}
    when its answer is complete; neither is a system call.

    @ivar words: C{[0]} start of the request, nanoseconds of the monotonic clock, 0
        for none.
    @ivar memory: the same and the text, as bytes.
    """

    __slots__ = ("_text", "memory", "words")

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory
        self.words = memory[:16].cast("q")
        self._text = memory[16:]

    def describe(self, line: bytes) -> None:
        """
        Note the request line, cut to what fits.
        """
        line = line[:_TEXT_SIZE]
        self._text[: len(line)] = line
        self.words[1] = len(line)

    def read(self) -> tuple[int, str]:
        """
        @return: the start in nanoseconds (0: none) and the request line.
        """
        size = min(max(self.words[1], 0), _TEXT_SIZE)
        return self.words[0], bytes(self._text[:size]).decode("latin-1")


class SlotReport(NamedTuple):
    """
    A slot at one moment, as plain data.
    """

    slot: int
    pid: int
    generation: int
    state: str
    requests: int
    bytesIn: int
    bytesOut: int
    errors: int
    connections: int
    threads: int
    current: list[tuple[int, str]]


class Slot:
    """
    One worker's part of the scoreboard.

    @ivar words: the head; index it with the module's constants.
    @ivar cells: one L{Cell} for each request that can be in hand.
    """

    __slots__ = ("cells", "number", "words")

    def __init__(self, number: int, words: memoryview, cells: list[Cell]) -> None:
        self.number = number
        self.words = words
        self.cells = cells

    def begin(self, pid: int, generation: int) -> None:
        """
        Take the slot for a process that starts; the counters stay.
        """
        for cell in self.cells:
            cell.words[0] = 0
        self.words[PID] = pid
        self.words[GENERATION] = generation
        self.words[CONNECTIONS] = 0
        self.words[THREADS] = 0
        self.words[LOGS] = 0
        self.words[STATE] = State.BOOTING

    def clear(self) -> None:
        """
        Give the slot back after its process has ended.
        """
        self.words[STATE] = State.EMPTY
        self.words[PID] = 0
        self.words[CONNECTIONS] = 0
        self.words[THREADS] = 0
        for cell in self.cells:
            cell.words[0] = 0

    def starts(self) -> list[int]:
        """
        @return: the starts of the requests in hand, in nanoseconds.
        """
        # Each word is read once: it can become 0 between two looks.
        return [start for start in [cell.words[0] for cell in self.cells] if start]

    def oldest(self) -> int:
        """
        @return: the start of the oldest request in hand, in nanoseconds, or 0.
        """
        return min(self.starts(), default=0)

    def report(self) -> SlotReport:
        words = self.words
        return SlotReport(
            slot=self.number,
            pid=words[PID],
            generation=words[GENERATION],
            state=State.names[words[STATE]],
            requests=words[REQUESTS],
            bytesIn=words[BYTES_IN],
            bytesOut=words[BYTES_OUT],
            errors=words[ERRORS],
            connections=words[CONNECTIONS],
            threads=words[THREADS],
            current=[cell for cell in [c.read() for c in self.cells] if cell[0]],
        )


class Scoreboard:
    """
    All slots.

    @ivar fd: the descriptor of the memory, for a child process.
    @ivar slots: one L{Slot} for each possible worker.
    """

    def __init__(self, fd: int, slots: int, cells: int) -> None:
        """
        Map the scoreboard behind C{fd}.

        @param slots: how many workers there can be at the same time.
        @param cells: how many requests one worker can have in hand.
        """
        slotBytes = 8 * (_HEAD_WORDS + cells * _CELL_WORDS)
        self.fd = fd
        self.cells = cells
        self._memory = mmap.mmap(fd, slots * slotBytes)
        whole = memoryview(self._memory)
        self.slots = [
            _slot(number, whole[number * slotBytes : (number + 1) * slotBytes], cells)
            for number in range(slots)
        ]

    @classmethod
    def create(cls, slots: int, cells: int) -> Scoreboard:
        """
        Make a new, empty scoreboard in memory that no path leads to.
        """
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("svctree-scoreboard", os.MFD_CLOEXEC)
        else:  # macOS and the BSDs
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, slots * 8 * (_HEAD_WORDS + cells * _CELL_WORDS))
        return cls(fd, slots, cells)

    def close(self) -> None:
        """
        Close the descriptor; the mapping lives as long as somebody holds a view.
        """
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def release(self) -> None:
        """
        Give up the mapping, too, which has a descriptor of its own; there are no slots
        any more.
        """
        self.close()
        self.slots.clear()
        # Whoever still holds a view holds the memory.
        with contextlib.suppress(BufferError):
            self._memory.close()


def _slot(number: int, memory: memoryview, cells: int) -> Slot:
    head = memory[: 8 * _HEAD_WORDS].cast("q")
    made = []
    for index in range(cells):
        start = 8 * (_HEAD_WORDS + index * _CELL_WORDS)
        made.append(Cell(memory[start : start + 8 * _CELL_WORDS]))
    return Slot(number, head, made)
