"""
Which FastCGI event may follow which, as one table.

The events are those of the request that is in hand. Records of other requests never
get here: they are refused (BEGIN_REQUEST) or skipped, whatever the state.

The application's answer may come before the peer has sent all of its streams. Their
rest then belongs to no request any more and is skipped.
"""

from __future__ import annotations

from svctree.wire.fastcgi.records import FastCGIError

__all__ = ["TRANSITIONS", "Event", "State", "UnexpectedRecord", "advance"]


class State:
    """
    Where a request is. Plain texts and not an Enum, whose hash is computed in
    Python: these are looked up several times for each request.
    """

    IDLE = "IDLE"
    PARAMS = "PARAMS"
    STDIN = "STDIN"
    DATA = "DATA"
    ANSWER = "ANSWER"


class Event:
    """
    What can happen to a request.

    C{PARAMS_END} leads to a body, C{PARAMS_ALONE} is the same record where there is
    none. C{INPUT_END} is the end of all that the application reads: the last
    stream's empty record, or the last byte that CONTENT_LENGTH announced;
    C{STDIN_END} is the end of a Filter's first stream.
    """

    BEGIN = "BEGIN"
    PARAMS = "PARAMS"
    PARAMS_END = "PARAMS_END"
    PARAMS_ALONE = "PARAMS_ALONE"
    STDIN = "STDIN"
    STDIN_END = "STDIN_END"
    DATA = "DATA"
    DATA_END = "DATA_END"
    INPUT_END = "INPUT_END"
    ABORT = "ABORT"
    ANSWERED = "ANSWERED"


TRANSITIONS: dict[str, dict[str, str]] = {
    State.IDLE: {Event.BEGIN: State.PARAMS},
    State.PARAMS: {
        Event.PARAMS: State.PARAMS,
        Event.PARAMS_END: State.STDIN,
        Event.PARAMS_ALONE: State.ANSWER,
        Event.ABORT: State.IDLE,
    },
    State.STDIN: {
        Event.STDIN: State.STDIN,
        Event.STDIN_END: State.DATA,
        Event.INPUT_END: State.ANSWER,
        Event.ABORT: State.IDLE,
        Event.ANSWERED: State.IDLE,
    },
    State.DATA: {
        Event.DATA: State.DATA,
        Event.INPUT_END: State.ANSWER,
        Event.ABORT: State.IDLE,
        Event.ANSWERED: State.IDLE,
    },
    # What is left of the streams is drained. A stream of DATA that no Responder
    # needs is none of our business either.
    State.ANSWER: {
        Event.STDIN: State.ANSWER,
        Event.STDIN_END: State.ANSWER,
        Event.DATA: State.ANSWER,
        Event.DATA_END: State.ANSWER,
        Event.ABORT: State.IDLE,
        Event.ANSWERED: State.IDLE,
    },
}
"""For each state the events that it has a place for, and the state after them."""


class UnexpectedRecord(FastCGIError):
    """
    A record arrived that C{state} has no place for.
    """

    def __init__(self, event: str, state: str) -> None:
        expected = ", ".join(TRANSITIONS[state]) or "nothing"
        super().__init__(f"got {event} in state {state}, expected {expected}")
        self.event = event
        self.state = state


def advance(state: str, event: str) -> str:
    """
    @return: the state after C{event}.
    @raise UnexpectedRecord: C{state} has no place for it.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise UnexpectedRecord(event, state) from None
