"""Disks that fail for the processes of a test alone: a small one that can be filled, and one whose writes or reads
fail."""

import errno
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from support.required_tools import require

_BLOCK = bytes(1 << 16)


class SmallDisk:
    """A file system of some megabytes at `folder`, in a mount namespace of its own: only processes that are started
    with `prefix` see it."""

    reason = "full"

    def __init__(self, folder: Path, megabytes: int = 24) -> None:
        folder.mkdir()
        mount = f"mount -t tmpfs -o size={megabytes}m,mode=700 tmpfs '{folder}' && echo mounted && exec sleep infinity"
        require(shutil.which("unshare") is not None and os.getuid() == 0, "only root can mount a small file system")
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", mount], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        if not self._holder.stdout.readline():
            _, why = self._holder.communicate()
            require(False, f"no file system can be mounted here: {why}")
        self.prefix = ["nsenter", "--mount", "--target", str(self._holder.pid), "--"]
        self.environment: dict[str, str] = {}
        self._full = self.outside(folder) / "full"

    def outside(self, path: Path) -> Path:
        """Where processes without `prefix` see a path of this disk."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def fail(self) -> None:
        """Fill the disk."""
        with suppress(OSError), self._full.open("ab", buffering=0) as file:
            while file.write(_BLOCK):
                pass
        with suppress(OSError), self._full.open("ab", buffering=0) as file:
            while file.write(b"\0"):
                pass

    def mend(self) -> None:
        """Free the space."""
        self._full.unlink()

    def close(self) -> None:
        """Remove the file system."""
        self._holder.kill()
        self._holder.communicate()


_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Whether this file fails now: it is below FAILING_FOLDER, and the file FAILING_NOW has the error's number. */
static int fails(int fd)
{
    char link[64], path[4096], number[16] = "";
    const char *folder = getenv("FAILING_FOLDER"), *now = getenv("FAILING_NOW");
    if (access(now, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0) return 0;
    FILE *file = fopen(now, "r");
    if (file == NULL) return 0;
    if (fgets(number, sizeof number, file) == NULL) number[0] = 0;
    fclose(file);
    errno = atoi(number);
    return errno != 0;
}

#define FAILING(result, name, parameters, arguments)                                                   \\
    result name parameters                                                                             \\
    {                                                                                                  \\
        static result (*original) parameters;                                                          \\
        if (original == NULL) original = (result (*) parameters) dlsym(RTLD_NEXT, #name);               \\
        return fails(fd) ? -1 : original arguments;                                                    \\
    }

#ifdef FAILING_READS
FAILING(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
FAILING(ssize_t, pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
FAILING(ssize_t, pread64, (int fd, void *data, size_t size, off64_t at), (fd, data, size, at))
#else
FAILING(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
FAILING(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
FAILING(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
FAILING(int, ftruncate, (int fd, off_t size), (fd, size))
FAILING(int, ftruncate64, (int fd, off64_t size), (fd, size))
FAILING(int, fsync, (int fd), (fd))
FAILING(int, fdatasync, (int fd), (fd))
#endif
"""


class FailingDisk:
    """A folder to which writes, or from which `reads`, fail with this error while they are told to, in processes with
    its `environment`."""

    prefix: tuple[str, ...] = ()
    reason = "I/O error"

    def __init__(self, folder: Path, error: int = errno.EIO, reads: bool = False) -> None:
        folder.mkdir()
        compiler = shutil.which("cc")
        require(compiler is not None, "no C compiler, with which writes are made to fail")
        source, library = folder.with_suffix(".c"), folder.with_suffix(".so")
        source.write_text(_SOURCE)
        kind = ["-DFAILING_READS"] if reads else []
        subprocess.run([str(compiler), "-shared", "-fPIC", *kind, "-o", library, source, "-ldl"], check=True)
        self._error = error
        self._now = folder.with_suffix(".errno")
        self.environment = {
            "LD_PRELOAD": str(library), "FAILING_FOLDER": str(folder), "FAILING_NOW": str(self._now),
        }  # fmt: skip

    def fail(self) -> None:
        """Make all writes, or reads, fail."""
        self._now.write_text(str(self._error))

    def mend(self) -> None:
        """Let them succeed again."""
        self._now.unlink()

    def close(self) -> None:
        """There is nothing to remove."""
