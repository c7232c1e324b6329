"""The keeper of an inn in several processes: an actor that starts each part of it as an actor in a process of its own,
and starts it again when it dies (Thespian's `multiprocTCPBase`, on loopback).

A part lives in a thread beside its actor, which only starts and stops it: between processes the actors say nothing but
this, for their transport would run whatever anybody sent to it. What parts say to each other goes through their doors.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

import msgspec
from innkeeper.actors.actor import HouseActor
from thespian.actors import ActorAddress, ActorExitRequest, ActorSystem, ChildActorExited, WakeupMessage

logger = logging.getLogger(__name__)

_LOOK = timedelta(seconds=0.02)
_START_SECONDS_MAX = 300
_STOP_SECONDS_MAX = 120
_PAUSE_SECONDS_MAX = 5.0
_LIVED_WELL_SECONDS = 3.0

_THEIR_LOG = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}

Live = Callable[[str, threading.Event, Callable[[], None]], None]
"""Lives the part of this name until it is told to stop; says when it has begun."""


class Begin(msgspec.Struct, frozen=True):
    """Be this part."""

    part: str


class Begun(msgspec.Struct, frozen=True):
    """It takes questions now; or it could not begin, and why."""

    part: str
    failure: str = ""


class Tend(msgspec.Struct, frozen=True):
    """See that these parts live, from now on; they begin one after the other."""

    parts: tuple[str, ...]


class Tended(msgspec.Struct, frozen=True):
    """All have begun; or one could not, and why. `keeper` is the keeper's own process."""

    keeper: int
    failure: str = ""


class Rest(msgspec.Struct, frozen=True):
    """End all parts, the last first."""


class Rested(msgspec.Struct, frozen=True):
    """All have ended."""


class _Given:
    """What processes have from the one that they are copies of."""

    live: Live
    root: logging.RootLogger
    manager: logging.Manager

    @classmethod
    def log_as_before(cls) -> None:
        """Thespian has every process send its log to one of its own, which only the thread of an actor may do."""
        logging.root = logging.Logger.root = cls.root
        logging.Logger.manager = cls.manager


class _Lifeline:
    """What every process of the inn holds, Thespian's own, too: it is cut when the first process ends, in whatever way,
    and then they end."""

    far = near = -1

    @classmethod
    def lay(cls) -> None:
        """In the first process."""
        cls.far, cls.near = os.pipe()
        os.register_at_fork(after_in_child=cls._hold)

    @classmethod
    def cut(cls) -> None:
        """The first process needs the others no more."""
        if cls.near >= 0:
            os.close(cls.near)
            cls.near = -1

    @staticmethod
    def when_cut() -> None:
        """What there is to finish."""

    @classmethod
    def _hold(cls) -> None:
        cls.cut()  # that end is not ours
        threading.Thread(target=cls._wait, name="lifeline", daemon=True).start()

    @classmethod
    def _wait(cls) -> None:
        os.read(cls.far, 1)
        cls.when_cut()
        os._exit(0)


def _ignore_signals() -> dict[signal.Signals, Any]:
    """Those with which a terminal or a service manager ends a whole group: only the first process heeds them, and tells
    the others in their order. What was done before."""
    return {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}


class PartActor(HouseActor):
    """One part, in its process."""

    def __init__(self) -> None:
        super().__init__()
        self._stopping = threading.Event()
        self._begun = threading.Event()
        self._failure = ""
        self._thread: threading.Thread | None = None
        self._keeper: ActorAddress | None = None
        self._part = ""

    def begin(self, message: Begin, keeper: ActorAddress) -> None:
        """Begin, and say so once it has."""
        _Given.log_as_before()
        _ignore_signals()
        self._part, self._keeper = message.part, keeper
        self._thread = threading.Thread(target=self._live, name=message.part)
        self._thread.start()
        _Lifeline.when_cut = self._finish  # type: ignore[method-assign]
        self.wakeupAfter(_LOOK)

    def look(self, _: WakeupMessage, __: ActorAddress) -> None:
        """Has it begun?"""
        if not self._begun.is_set():
            self.wakeupAfter(_LOOK)
            return
        self.send(self._keeper, Begun(self._part, self._failure))

    def end(self, _: ActorExitRequest, __: ActorAddress) -> None:
        """Finish what was accepted."""
        self._finish()

    def _finish(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS_MAX)

    def _live(self) -> None:
        try:
            _Given.live(self._part, self._stopping, self._begun.set)
        except BaseException as error:
            logger.critical("%s ends: %s", self._part, error, exc_info=not self._failure)
            self._failure = str(error) or type(error).__name__
        if not self._stopping.is_set():
            if self._begun.is_set():
                os._exit(1)  # its keeper starts it again
            self._begun.set()


PartActor.handles = {Begin: PartActor.begin, WakeupMessage: PartActor.look, ActorExitRequest: PartActor.end}


class KeeperActor(HouseActor):
    """Starts parts, and starts them again."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: dict[str, ActorAddress] = {}
        self._missing: list[str] = []
        self._since: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._asked: ActorAddress | None = None
        self._resting = False

    def tend(self, message: Tend, sender: ActorAddress) -> None:
        """Begin with the first."""
        _Given.log_as_before()
        _ignore_signals()
        self._asked, self._missing = sender, [*message.parts]
        self._begin(self._missing[0])

    def begun(self, message: Begun, _: ActorAddress) -> None:
        """Go on with the next."""
        if message.failure:
            logger.error("%s could not begin: %s", message.part, message.failure)
        if message.part not in self._missing:
            if message.failure:
                self.send(self._parts[message.part], ActorExitRequest())  # and is started again
            return
        self._missing.remove(message.part)
        if message.failure or not self._missing:
            self._missing = []
            self.send(self._asked, Tended(os.getpid(), message.failure))
        else:
            self._begin(self._missing[0])

    def gone(self, message: ChildActorExited, _: ActorAddress) -> None:
        """A process has ended: by our wish, or it is started again, at once at first."""
        part = next((part for part, address in self._parts.items() if address == message.childAddress), None)
        if part is None:
            return
        del self._parts[part]
        if self._resting:
            self._end_next()
            return
        lived = monotonic() - self._since[part]
        pause = 0.0 if lived > _LIVED_WELL_SECONDS else self._pauses.get(part, 0.0)
        self._pauses[part] = min(max(2 * pause, 0.1), _PAUSE_SECONDS_MAX)
        logger.error("%s has died; it is started again in %.1f s", part, pause)
        if pause:
            self.wakeupAfter(timedelta(seconds=pause), part)
        else:
            self._begin(part)

    def again(self, message: WakeupMessage, _: ActorAddress) -> None:
        """The pause of a part is over."""
        if not self._resting:
            self._begin(message.payload)

    def rest(self, _: Rest, sender: ActorAddress) -> None:
        """End one after the other."""
        self._asked, self._resting = sender, True
        self._end_next()

    def _begin(self, part: str) -> None:
        self._since[part] = monotonic()
        address = self._parts[part] = self.createActor(PartActor)
        self.send(address, Begin(part))

    def _end_next(self) -> None:
        if self._parts:
            self.send([*self._parts.values()][-1], ActorExitRequest())
        else:
            self.send(self._asked, Rested())


KeeperActor.handles = {
    Tend: KeeperActor.tend,
    Begun: KeeperActor.begun,
    ChildActorExited: KeeperActor.gone,
    WakeupMessage: KeeperActor.again,
    Rest: KeeperActor.rest,
}


class Keeper:
    """The way to the keeper, for whoever starts the inn. Made before there are threads: its processes are copies of
    this one."""

    def __init__(self, live: Live) -> None:
        _Given.live = live
        _Lifeline.lay()
        _Given.root, _Given.manager = logging.Logger.root, logging.Logger.manager
        os.environ["THESPIAN_BASE_IPADDR"] = "127.0.0.1"
        logging.getLogger("Thespian").setLevel(logging.WARNING)
        before = _ignore_signals()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        capabilities = {"Admin Port": port, "Process Startup Method": "fork"}
        self._system = ActorSystem("multiprocTCPBase", capabilities, logDefs=_THEIR_LOG, transientUnique=True)
        for number, handler in before.items():
            signal.signal(number, handler)
        self._keeper = self._system.createActor(KeeperActor)

    def tend(self, parts: Sequence[str]) -> str:
        """Begin all parts, one after the other; why not, if so."""
        tended = self._system.ask(self._keeper, Tend(tuple(parts)), _START_SECONDS_MAX)
        if not isinstance(tended, Tended):
            return f"no answer in {_START_SECONDS_MAX} s"
        self._process = tended.keeper
        return tended.failure

    async def died(self) -> None:
        """Wait until the keeper's process is there no more (where the system can tell: Linux)."""
        gone = asyncio.Event()
        if not hasattr(os, "pidfd_open"):
            await gone.wait()
        try:
            process = os.pidfd_open(self._process)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(process, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(process)
            os.close(process)

    def rest(self) -> None:
        """End all parts, the last first."""
        self._system.ask(self._keeper, Rest(), _STOP_SECONDS_MAX)

    def end(self) -> None:
        """End all other processes. (Thespian's own way would wait ten seconds for each that was killed.)"""
        _Lifeline.cut()
