/* Records, in order, what processes do to the files below a folder, and what they send on sockets.

   A library for LD_PRELOAD, for 64-bit Linux: it replaces the functions of libc with which Python and SQLite change
   files. Each operation is carried out, by its system call, and appended to a log under one lock, so that the order in
   the log is the order of the operations. `operations.py` reads the log.

   RECORDER_ROOT     the folder; operations elsewhere are not recorded
   RECORDER_LOG      the log, which is outside of it
   RECORDER_IGNORES  if set, a sync of the files whose path ends in this does nothing, as on a disk that lies

   A sync has two records, when it begins and when it ends: what others write or send in between is not covered by it.
   What is sent is recorded before it is sent. A test that kills a process locks the log first (flock), so that nothing
   is done without its record. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG_DESCRIPTOR_MIN 800  /* out of the way of those that are closed by number */
#define HERE AT_FDCWD           /* the working folder, where names that are not absolute begin */
#define WAKE_BYTES_MAX 8        /* event loops wake each other with so much, also in signal handlers */

/* A record: this head, `path`, and `size` bytes. The fields that a kind does not need are 0. */
struct record {
    uint32_t size;
    uint16_t path_length;
    uint16_t kind;
    uint64_t inode;
    uint64_t at;  /* where it was written; the size after a truncation; the thread of a sync */
};

static int log_file = -1;
static const char *root, *ignored;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("RECORDER_LOG");
    root = getenv("RECORDER_ROOT");
    ignored = getenv("RECORDER_IGNORES");
    if (path == NULL || root == NULL) return;
    int opened = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    log_file = fcntl(opened, F_DUPFD_CLOEXEC, LOG_DESCRIPTOR_MIN);
    syscall(SYS_close, opened);
    if (log_file < 0) abort();
}

/* A thread holds the mutex; the lock of the log excludes other processes. */
static void lock(void) {
    pthread_mutex_lock(&mutex);
    if (flock(log_file, LOCK_EX) != 0) abort();
}
static void unlock(void) {
    flock(log_file, LOCK_UN);
    pthread_mutex_unlock(&mutex);
}

/* Appends a record with the first `size` bytes of these data. The caller has the lock. */
static void append(char kind, uint64_t inode, uint64_t at, const char *path, const struct iovec *data, int count,
                   size_t size) {
    struct record head = {.size = size, .path_length = strlen(path), .kind = kind, .inode = inode, .at = at};
    struct iovec parts[IOV_MAX] = {{&head, sizeof head}, {(void *) path, head.path_length}};
    ssize_t total = sizeof head + head.path_length + size;
    int used = 2;
    if (count > IOV_MAX - used) abort();
    for (; count > 0 && size > 0; count--, data++) {
        size_t length = data->iov_len < size ? data->iov_len : size;
        parts[used++] = (struct iovec) {data->iov_base, length};
        size -= length;
    }
    if (syscall(SYS_writev, log_file, parts, used) != total) abort();
}
static void append_text(char kind, uint64_t inode, uint64_t at, const char *path, const char *text) {
    append(kind, inode, at, path, &(struct iovec) {(void *) text, strlen(text)}, 1, strlen(text));
}

/* Whether a path is the root, or below it. */
static int is_below(const char *path) {
    size_t length = root == NULL ? 0 : strlen(root);
    return log_file >= 0 && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* The path of a descriptor, or of the working folder; returns its length, or -1. */
static ssize_t path_of(int fd, char path[PATH_MAX]) {
    char link[64] = "/proc/self/cwd";
    if (fd != HERE) snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length >= 0) path[length] = 0;
    return length;
}

/* The path of an open file or folder below the root, and its inode; 0 for any other. */
static int tracked(int fd, char path[PATH_MAX], struct stat *found) {
    if (log_file < 0 || fstat(fd, found) != 0 || !(S_ISREG(found->st_mode) || S_ISDIR(found->st_mode))) return 0;
    return path_of(fd, path) > 0 && is_below(path);
}

/* The absolute path of a name in a folder; whether it is below the root. */
static int resolved(int folder, const char *name, char path[PATH_MAX]) {
    ssize_t length = name[0] == '/' ? 0 : path_of(folder, path);
    if (log_file < 0 || length < 0) return 0;
    snprintf(path + length, PATH_MAX - length, length > 0 ? "/%s" : "%s", name);
    return is_below(path);
}

int open(const char *name, int flags, ...) {
    char path[PATH_MAX];
    struct stat before, after;
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!(flags & (O_CREAT | O_TRUNC)) || !resolved(HERE, name, path))
        return syscall(SYS_openat, HERE, name, flags, mode);
    lock();
    int existed = stat(path, &before) == 0, fd = syscall(SYS_openat, HERE, name, flags, mode);
    if (fd >= 0 && fstat(fd, &after) == 0 && S_ISREG(after.st_mode)) {
        if (!existed) append_text('C', after.st_ino, 0, path, "");
        else if ((flags & O_TRUNC) && before.st_size > 0) append_text('T', after.st_ino, 0, path, "");
    }
    unlock();
    return fd;
}
__typeof__(open) open64 __attribute__((alias("open")));

/* What is sent on a socket is recorded before: who gets it may rely on what was synced until then. */
static void record_sent(int fd, const struct iovec *data, int count) {
    struct stat found;
    size_t size = 0;
    for (int i = 0; i < count; i++) size += data[i].iov_len;
    if (log_file < 0 || size <= WAKE_BYTES_MAX || fstat(fd, &found) != 0 || !S_ISSOCK(found.st_mode)) return;
    lock();
    append('S', found.st_ino, 0, "", data, count, size);
    unlock();
}

/* Writes at this place of a file; at -1, where the descriptor is. */
static ssize_t write_at(int fd, off_t at, const struct iovec *data, int count) {
    char path[PATH_MAX];
    struct stat found;
    int is_tracked = tracked(fd, path, &found);
    if (is_tracked) lock();
    else record_sent(fd, data, count);
    ssize_t written = at < 0 ? syscall(SYS_writev, fd, data, count) : syscall(SYS_pwritev, fd, data, count, at, 0L);
    if (is_tracked && written > 0) {
        if (at < 0) at = lseek(fd, 0, SEEK_CUR) - written;
        append('W', found.st_ino, at, path, data, count, written);
    }
    if (is_tracked) unlock();
    return written;
}

ssize_t write(int fd, const void *bytes, size_t size) {
    return write_at(fd, -1, &(struct iovec) {(void *) bytes, size}, 1);
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    return write_at(fd, at, &(struct iovec) {(void *) bytes, size}, 1);
}
__typeof__(pwrite) pwrite64 __attribute__((alias("pwrite")));
ssize_t writev(int fd, const struct iovec *data, int count) { return write_at(fd, -1, data, count); }
ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    record_sent(fd, &(struct iovec) {(void *) bytes, size}, 1);
    return syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0L);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    record_sent(fd, message->msg_iov, message->msg_iovlen);
    return syscall(SYS_sendmsg, fd, message, flags);
}

static void record(char kind, uint64_t at, const struct stat *found, const char *path) {
    lock();
    append_text(kind, found->st_ino, at, path, "");
    unlock();
}

int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    struct stat found;
    if (!tracked(fd, path, &found)) return syscall(SYS_ftruncate, fd, size);
    lock();
    int result = syscall(SYS_ftruncate, fd, size);
    if (result == 0) append_text('T', found.st_ino, size, path, "");
    unlock();
    return result;
}
__typeof__(ftruncate) ftruncate64 __attribute__((alias("ftruncate")));

static int sync_by(long call, int fd) {
    char path[PATH_MAX];
    struct stat found;
    if (!tracked(fd, path, &found)) return syscall(call, fd);
    size_t length = strlen(path), end = ignored == NULL ? 0 : strlen(ignored);
    if (end > 0 && length >= end && strcmp(path + length - end, ignored) == 0) return 0;
    record('B', gettid(), &found, path);
    int result = syscall(call, fd);
    if (result == 0) record('E', gettid(), &found, path);
    return result;
}
int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }

/* Writes to shared memory are not seen; that they are possible is recorded, so that the reader can judge it. */
void *mmap(void *place, size_t length, int protection, int flags, int fd, off_t at) {
    char path[PATH_MAX];
    struct stat found;
    if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && fd >= 0 && tracked(fd, path, &found))
        record('M', 0, &found, path);
    return (void *) syscall(SYS_mmap, place, length, protection, flags, fd, at);
}
__typeof__(mmap) mmap64 __attribute__((alias("mmap")));

/* Changes names: R renames, L links, U removes, D makes a folder; `more` are the flags or the mode. The second path
   stands where the data of a write does. */
static int change_names(char kind, int folder, const char *old, int to, const char *new, long more) {
    char path[PATH_MAX], second[PATH_MAX] = "";
    struct stat found = {0};
    int is_tracked = resolved(folder, old, path) && (new == NULL || resolved(to, new, second));
    if (is_tracked) lock();
    int result = kind == 'R'   ? syscall(SYS_renameat2, folder, old, to, new, more)
                 : kind == 'L' ? syscall(SYS_linkat, folder, old, to, new, more)
                 : kind == 'U' ? syscall(SYS_unlinkat, folder, old, more)
                               : syscall(SYS_mkdirat, folder, old, more);
    if (is_tracked && kind == 'D') stat(path, &found);
    if (is_tracked && result == 0) append_text(kind, found.st_ino, 0, path, second);
    if (is_tracked) unlock();
    return result;
}

int rename(const char *old, const char *new) { return change_names('R', HERE, old, HERE, new, 0); }
int link(const char *old, const char *new) { return change_names('L', HERE, old, HERE, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) {
    return change_names('L', from, old, to, new, flags);
}
int unlink(const char *path) { return change_names('U', HERE, path, HERE, NULL, 0); }
int unlinkat(int folder, const char *path, int flags) { return change_names('U', folder, path, HERE, NULL, flags); }
int rmdir(const char *path) { return change_names('U', HERE, path, HERE, NULL, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return change_names('D', HERE, path, HERE, NULL, mode); }
