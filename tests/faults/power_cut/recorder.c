/* Preloaded into the processes of a queue: appends each write, truncation and sync of its database
   and log to the file that RECORDING names, with the bytes that were written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITTEN = 1, TRUNCATED, SYNC_BEGUN, SYNC_ENDED };

struct header {
    uint32_t kind;
    uint32_t is_log;
    uint64_t offset;
    uint64_t length;
};

/* 0 for the database, 1 for its log, -1 for any other file. */
static int file_of(int descriptor)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return -1;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    if (name && !strcmp(name, "/jobs.db"))
        return 0;
    return name && !strcmp(name, "/jobs.db-wal") ? 1 : -1;
}

static void record(enum kind kind, int file, uint64_t offset, uint64_t length, const void *data)
{
    static int recording = -1;
    if (recording < 0)
        recording = open(getenv("RECORDING"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct header header = {kind, (uint32_t)file, offset, length};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)data, length}};
    if (writev(recording, parts, data ? 2 : 1) < 0)
        abort();
}

#define REAL(name) (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define RECORD_WRITE(name, offset_type)                                                  \
    ssize_t name(int descriptor, const void *data, size_t length, offset_type offset)     \
    {                                                                                     \
        ssize_t written = (REAL(name))(descriptor, data, length, offset);                 \
        int file = file_of(descriptor);                                                   \
        if (file >= 0 && written > 0)                                                     \
            record(WRITTEN, file, offset, written, data);                                 \
        return written;                                                                   \
    }

#define RECORD_TRUNCATION(name, offset_type)                                              \
    int name(int descriptor, offset_type length)                                          \
    {                                                                                     \
        int failed = (REAL(name))(descriptor, length);                                    \
        int file = file_of(descriptor);                                                   \
        if (file >= 0 && !failed)                                                         \
            record(TRUNCATED, file, length, 0, 0);                                        \
        return failed;                                                                    \
    }

#define RECORD_SYNC(name)                                                                 \
    int name(int descriptor)                                                              \
    {                                                                                     \
        int file = file_of(descriptor);                                                   \
        if (file >= 0)                                                                    \
            record(SYNC_BEGUN, file, 0, 0, 0);                                            \
        int failed = (REAL(name))(descriptor);                                            \
        if (file >= 0 && !failed)                                                         \
            record(SYNC_ENDED, file, 0, 0, 0);                                            \
        return failed;                                                                    \
    }

RECORD_WRITE(pwrite, off_t)
RECORD_WRITE(pwrite64, off64_t)
RECORD_TRUNCATION(ftruncate, off_t)
RECORD_TRUNCATION(ftruncate64, off64_t)
RECORD_SYNC(fsync)
RECORD_SYNC(fdatasync)
