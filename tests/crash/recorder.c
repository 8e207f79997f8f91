/* A preloaded library that writes down, in order, whatever a process does to files under one folder.
 *
 *   OCPP_FAST_RECORD_ROOT  that folder, absolute and without links
 *   OCPP_FAST_RECORD_LOG   the file of records, which must not be in it
 *
 * Without these it does nothing. Each record is made while a lock is held over the call itself, so
 * the order of the records is the order of what happened, whatever thread did it. A sync is recorded
 * when it has returned: what stands before it in the log may be on the disk or not, if the power
 * fails earlier. What changes a file in a way that is not known here is recorded too, as `?`: a
 * recording must be whole or be seen not to be. SQLite's shared memory (`*-shm`) is nothing that has
 * to last and is left out.
 *
 * A record is a `struct record`, then the path, then the data; recording.py reads it.
 */
#define _GNU_SOURCE
/* What it makes of `open` cannot be defined anew. */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef __GLIBC__
#define off64_t off_t
#endif

struct record {
    uint8_t kind, flags;
    uint16_t path_size;
    uint32_t data_size;
    uint64_t file; /* its inode */
    int64_t offset;
};

enum { CREATED = 1, TRUNCATED = 2 };

static char root[PATH_MAX];
static size_t root_size;
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The functions that stand in for others, and what they stand in for. */
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        dprintf(2, "recorder: there is no %s\n", name);
        abort();
    }
    return found;
}

static void begin(void)
{
    const char *folder = getenv("OCPP_FAST_RECORD_ROOT"), *path = getenv("OCPP_FAST_RECORD_LOG");
    if (folder == NULL || path == NULL || strlen(folder) >= sizeof root)
        return;
    strcpy(root, folder);
    root_size = strlen(root);
    log_fd = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        dprintf(2, "recorder: %s: %s\n", path, strerror(errno));
        abort();
    }
}

__attribute__((constructor)) static void at_start(void) { pthread_once(&once, begin); }

static int recording(void)
{
    pthread_once(&once, begin);
    return log_fd >= 0;
}

static void put(const void *bytes, size_t size)
{
    const char *next = bytes;
    while (size > 0) {
        ssize_t done = REAL(write)(log_fd, next, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            abort(); /* Half a recording is worse than none. */
        next += done;
        size -= (size_t)done;
    }
}

/* errno is that of the recorded call afterwards. */
static void note(char kind, int flags, uint64_t file, int64_t offset, const char *path,
                 const void *data, size_t size)
{
    int error = errno;
    struct record record = {(uint8_t)kind, (uint8_t)flags, (uint16_t)strlen(path), (uint32_t)size,
                            file, offset};
    put(&record, sizeof record);
    put(path, record.path_size);
    put(data, size);
    errno = error;
}

static int is_ours(const char *path)
{
    size_t size = strlen(path);
    if (strncmp(path, root, root_size) != 0 || (path[root_size] != '/' && path[root_size] != 0))
        return 0;
    return size < 4 || strcmp(path + size - 4, "-shm") != 0;
}

/* The path of an open file, and whether it is ours; a deleted one is too. */
static int of_fd(int fd, char *path)
{
    static const char gone[] = " (deleted)";
    char link[64];
    int error = errno;
    if (!recording() || fd < 0 || fd == log_fd)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    errno = error;
    if (size < 0)
        return 0;
    path[size] = 0;
    size_t end = (size_t)size, tail = sizeof gone - 1;
    if (end > tail && strcmp(path + end - tail, gone) == 0)
        path[end - tail] = 0;
    return is_ours(path);
}

/* The absolute path of a name whose last part may not exist, and whether it is ours. No name, no. */
static int of_name(int folder, const char *name, char *path)
{
    char whole[2 * PATH_MAX], link[64], parent[PATH_MAX];
    int error = errno;
    if (!recording() || name == NULL || strlen(name) >= PATH_MAX)
        return 0;
    whole[0] = 0;
    if (name[0] != '/') {
        ssize_t size = -1;
        if (folder == AT_FDCWD) {
            if (getcwd(whole, PATH_MAX) != NULL)
                size = (ssize_t)strlen(whole);
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            size = readlink(link, whole, PATH_MAX - 1);
        }
        if (size < 0) {
            errno = error;
            return 0;
        }
        whole[size] = '/';
        whole[size + 1] = 0;
    }
    strcat(whole, name);
    size_t end = strlen(whole);
    while (end > 1 && whole[end - 1] == '/')
        whole[--end] = 0;
    char *last = strrchr(whole, '/');
    *last = 0;
    int found = realpath(last == whole ? "/" : whole, parent) != NULL;
    errno = error;
    if (!found || strlen(parent) + strlen(last + 1) + 2 > PATH_MAX)
        return 0;
    sprintf(path, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, last + 1);
    return is_ours(path);
}

static uint64_t inode(int fd)
{
    struct stat found;
    return fstat(fd, &found) == 0 ? (uint64_t)found.st_ino : 0;
}

#define LOCKED(...)                                                                                \
    do {                                                                                           \
        pthread_mutex_lock(&lock);                                                                 \
        __VA_ARGS__;                                                                               \
        pthread_mutex_unlock(&lock);                                                               \
    } while (0)

/* --- open ------------------------------------------------------------------------------------- */

typedef int (*opener)(int, const char *, int, mode_t);

static int recorded_open(opener open_it, int folder, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    int fd;
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        fd = open_it(folder, name, flags, mode);
        if (fd >= 0 && of_fd(fd, path))
            LOCKED(note('?', 0, 0, 0, path, "O_TMPFILE", 9));
        return fd;
    }
    if (!(flags & (O_CREAT | O_TRUNC)) || !of_name(folder, name, path))
        return open_it(folder, name, flags, mode);
    LOCKED({
        struct stat before;
        int error = errno, known = lstat(path, &before) == 0;
        errno = error;
        fd = open_it(folder, name, flags, mode);
        int did = (known ? 0 : CREATED) | (known && (flags & O_TRUNC) ? TRUNCATED : 0);
        if (fd >= 0 && known && S_ISLNK(before.st_mode))
            note('?', 0, 0, 0, path, "open of a link", 14);
        else if (fd >= 0 && did)
            note('O', did, inode(fd), 0, path, "", 0);
    });
    return fd;
}

static mode_t mode_of(int flags, va_list more)
{
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(more, unsigned) : 0;
}

#define OPEN(name)                                                                                 \
    static int plain_##name(int folder, const char *path, int flags, mode_t mode)                  \
    {                                                                                              \
        (void)folder;                                                                              \
        return REAL(name)(path, flags, mode);                                                      \
    }                                                                                              \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = mode_of(flags, more);                                                        \
        va_end(more);                                                                              \
        return recorded_open(plain_##name, AT_FDCWD, path, flags, mode);                           \
    }
#define OPENAT(name)                                                                               \
    static int plain_##name(int folder, const char *path, int flags, mode_t mode)                  \
    {                                                                                              \
        return REAL(name)(folder, path, flags, mode);                                              \
    }                                                                                              \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = mode_of(flags, more);                                                        \
        va_end(more);                                                                              \
        return recorded_open(plain_##name, folder, path, flags, mode);                             \
    }
#define OPEN2(name, other)                                                                         \
    int name(const char *path, int flags)                                                          \
    {                                                                                              \
        return recorded_open(plain_##other, AT_FDCWD, path, flags, 0);                             \
    }
#define CREAT(name, other)                                                                         \
    int name(const char *path, mode_t mode)                                                        \
    {                                                                                              \
        return recorded_open(plain_##other, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);   \
    }

OPEN(open)
OPENAT(openat)
CREAT(creat, open)
#ifdef __GLIBC__
OPEN(open64)
OPENAT(openat64)
CREAT(creat64, open64)
OPEN2(__open_2, open)
OPEN2(__open64_2, open64)
#endif

/* --- write ------------------------------------------------------------------------------------ */

/* `offset` below 0: the file's own position, which a write moves; with O_APPEND its end. */
static ssize_t wrote(int fd, const char *path, ssize_t done, off_t offset, const void *data)
{
    int error = errno;
    if (done > 0) {
        if (offset < 0)
            offset = lseek(fd, 0, SEEK_CUR) - done;
        note('W', 0, inode(fd), offset, path, data, (size_t)done);
    }
    errno = error;
    return done;
}

static ssize_t wrote_all(int fd, const char *path, ssize_t done, off_t offset,
                         const struct iovec *parts, int count)
{
    if (done <= 0)
        return done;
    char *data = malloc((size_t)done);
    size_t size = 0;
    if (data == NULL)
        abort();
    for (int part = 0; part < count && size < (size_t)done; part++) {
        size_t next = parts[part].iov_len, left = (size_t)done - size;
        memcpy(data + size, parts[part].iov_base, next < left ? next : left);
        size += next < left ? next : left;
    }
    wrote(fd, path, done, offset, data);
    free(data);
    return done;
}

#define WRITE(name, offset, parameters, arguments, finish)                                         \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        char path[PATH_MAX];                                                                       \
        if (!of_fd(fd, path))                                                                      \
            return REAL(name) arguments;                                                           \
        ssize_t done;                                                                              \
        LOCKED({                                                                                   \
            done = REAL(name) arguments;                                                           \
            finish(offset);                                                                        \
        });                                                                                        \
        return done;                                                                               \
    }
#define ONE(offset) wrote(fd, path, done, offset, data)
#define SOME(offset) wrote_all(fd, path, done, offset, parts, count)

WRITE(write, -1, (int fd, const void *data, size_t size), (fd, data, size), ONE)
WRITE(pwrite, at, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), ONE)
WRITE(writev, -1, (int fd, const struct iovec *parts, int count), (fd, parts, count), SOME)
WRITE(pwritev, at, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at),
      SOME)
#ifdef __GLIBC__
WRITE(pwrite64, at, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), ONE)
WRITE(pwritev64, at, (int fd, const struct iovec *parts, int count, off64_t at),
      (fd, parts, count, at), SOME)
WRITE(pwritev2, at, (int fd, const struct iovec *parts, int count, off_t at, int flags),
      (fd, parts, count, at, flags), SOME)
WRITE(pwritev64v2, at, (int fd, const struct iovec *parts, int count, off64_t at, int flags),
      (fd, parts, count, at, flags), SOME)
#endif

/* --- sync, truncate --------------------------------------------------------------------------- */

#define SYNC(name)                                                                                 \
    int name(int fd)                                                                               \
    {                                                                                              \
        char path[PATH_MAX];                                                                       \
        if (!of_fd(fd, path))                                                                      \
            return REAL(name)(fd);                                                                 \
        int done;                                                                                  \
        LOCKED({                                                                                   \
            struct stat found;                                                                     \
            done = REAL(name)(fd);                                                                 \
            int folder = fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);                         \
            if (done == 0)                                                                         \
                note(folder ? 'D' : 'S', 0, inode(fd), 0, path, "", 0);                            \
        });                                                                                        \
        return done;                                                                               \
    }
#define FTRUNCATE(name, offset)                                                                    \
    int name(int fd, offset size)                                                                  \
    {                                                                                              \
        char path[PATH_MAX];                                                                       \
        if (!of_fd(fd, path))                                                                      \
            return REAL(name)(fd, size);                                                           \
        int done;                                                                                  \
        LOCKED({                                                                                   \
            done = REAL(name)(fd, size);                                                           \
            if (done == 0)                                                                         \
                note('T', 0, inode(fd), size, path, "", 0);                                        \
        });                                                                                        \
        return done;                                                                               \
    }

SYNC(fsync)
SYNC(fdatasync)
FTRUNCATE(ftruncate, off_t)
#ifdef __GLIBC__
FTRUNCATE(ftruncate64, off64_t)
#endif

/* --- names ------------------------------------------------------------------------------------ */

/* `kind` is recorded with the path; where there is a second name it is the data. */
#define NAMES(name, kind, parameters, arguments, folder, first, other_folder, second)              \
    int name parameters                                                                            \
    {                                                                                              \
        char path[PATH_MAX] = "", other[PATH_MAX] = "";                                                 \
        int ours = of_name(folder, first, path);                                                   \
        ours |= of_name(other_folder, second, other);                                              \
        if (!ours)                                                                                 \
            return REAL(name) arguments;                                                           \
        int done;                                                                                  \
        LOCKED({                                                                                   \
            done = REAL(name) arguments;                                                           \
            if (done == 0)                                                                         \
                note(kind, 0, 0, 0, path, other, strlen(other));                                   \
        });                                                                                        \
        return done;                                                                               \
    }
#define CWD AT_FDCWD
#define NONE ((const char *)NULL)

NAMES(rename, 'R', (const char *from, const char *to), (from, to), CWD, from, CWD, to)
NAMES(renameat, 'R', (int at, const char *from, int to_at, const char *to), (at, from, to_at, to),
      at, from, to_at, to)
NAMES(unlink, 'U', (const char *path_), (path_), CWD, path_, CWD, NONE)
NAMES(remove, 'U', (const char *path_), (path_), CWD, path_, CWD, NONE)
NAMES(unlinkat, 'U', (int at, const char *path_, int flags), (at, path_, flags), at, path_, CWD,
      NONE)
NAMES(rmdir, 'U', (const char *path_), (path_), CWD, path_, CWD, NONE)
NAMES(mkdir, 'K', (const char *path_, mode_t mode), (path_, mode), CWD, path_, CWD, NONE)
NAMES(mkdirat, 'K', (int at, const char *path_, mode_t mode), (at, path_, mode), at, path_, CWD,
      NONE)
/* Nothing that a station does, so far. */
NAMES(link, '?', (const char *from, const char *to), (from, to), CWD, from, CWD, to)
NAMES(linkat, '?', (int at, const char *from, int to_at, const char *to, int flags),
      (at, from, to_at, to, flags), at, from, to_at, to)
NAMES(symlink, '?', (const char *from, const char *to), (from, to), CWD, to, CWD, NONE)
NAMES(symlinkat, '?', (const char *from, int at, const char *to), (from, at, to), at, to, CWD, NONE)
NAMES(truncate, '?', (const char *path_, off_t size), (path_, size), CWD, path_, CWD, NONE)
#ifdef __GLIBC__
NAMES(renameat2, 'R', (int at, const char *from, int to_at, const char *to, unsigned flags),
      (at, from, to_at, to, flags), at, from, to_at, to)
NAMES(truncate64, '?', (const char *path_, off64_t size), (path_, size), CWD, path_, CWD, NONE)
#endif

/* --- other ways to change a file, which would have to be learned ------------------------------- */

#define UNKNOWN(type, name, parameters, arguments, fd, failed)                                     \
    type name parameters                                                                           \
    {                                                                                              \
        char path[PATH_MAX];                                                                       \
        type done = REAL(name) arguments;                                                          \
        if (done != (failed) && of_fd(fd, path))                                                   \
            LOCKED(note('?', 0, 0, 0, path, #name, strlen(#name)));                                \
        return done;                                                                               \
    }
#define SHARED(protection, flags, fd)                                                              \
    ((protection) & PROT_WRITE && ((flags) & MAP_TYPE) != MAP_PRIVATE && !((flags) & MAP_ANONYMOUS) \
         ? (fd)                                                                                    \
         : -1)

UNKNOWN(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), fd, -1)
UNKNOWN(ssize_t, sendfile, (int to, int from, off_t *at, size_t size), (to, from, at, size), to, -1)
UNKNOWN(ssize_t, copy_file_range,
        (int from, off64_t *at, int to, off64_t *to_at, size_t size, unsigned flags),
        (from, at, to, to_at, size, flags), to, -1)
UNKNOWN(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
        (at, size, protection, flags, fd, offset), SHARED(protection, flags, fd), MAP_FAILED)
#ifdef __GLIBC__
UNKNOWN(int, fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size), fd,
        -1)
UNKNOWN(int, posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size), fd, -1)
UNKNOWN(int, posix_fallocate64, (int fd, off64_t at, off64_t size), (fd, at, size), fd, -1)
UNKNOWN(ssize_t, sendfile64, (int to, int from, off64_t *at, size_t size), (to, from, at, size), to,
        -1)
UNKNOWN(void *, mmap64, (void *at, size_t size, int protection, int flags, int fd, off64_t offset),
        (at, size, protection, flags, fd, offset), SHARED(protection, flags, fd), MAP_FAILED)
#endif

/* --- what the process itself has to say --------------------------------------------------------- */

/* Puts a mark of its own between the records. */
void ocpp_fast_mark(const void *data, size_t size)
{
    if (recording())
        LOCKED(note('M', 0, 0, 0, "", data, size));
}
