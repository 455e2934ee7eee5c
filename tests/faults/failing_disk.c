/*
 * A disk that fails when the test says so. Preloaded with LD_PRELOAD, it stands before the C library's calls that
 * change files. Calls on files of the watched folder are counted; from the chosen one on, once or for good, they fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, RENAME = 8, UNLINK = 16 };

static char folder[4096];
static int kinds, first, last, code;
static int calls;

/* Watch a folder. Of the calls of `which` kinds, number `from` to `to` (from 1) fail with `error`. */
void disk_fails(const char *path, int which, int from, int to, int error) {
    snprintf(folder, sizeof folder, "%s", path);
    first = from, last = to, code = error;
    __atomic_store_n(&calls, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&kinds, which, __ATOMIC_SEQ_CST);
}

/* The disk works again. Returns how many calls of the chosen kinds there were. */
int disk_works(void) {
    __atomic_store_n(&kinds, 0, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
}

static int path_fails(int kind, const char *path) {
    if (!(kinds & kind) || strncmp(path, folder, strlen(folder))) return 0;
    int call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (call < first || call > last) return 0;
    errno = code;
    return 1;
}

static int fails(int kind, int file) {
    if (!(kinds & kind)) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return path_fails(kind, path);
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* Half of what was to be written is in the file when a write fails, as when a disk fills up or drops out. */
ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!fails(WRITE, file)) return real(file, data, size);
    real(file, data, size / 2);
    errno = code;
    return -1;
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    if (!fails(WRITE, file)) return real(file, data, size, at);
    real(file, data, size / 2, at);
    errno = code;
    return -1;
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (!fails(WRITE, file)) return real(file, data, size, at);
    real(file, data, size / 2, at);
    errno = code;
    return -1;
}

int fsync(int file) {
    REAL(int, "fsync", int);
    return fails(SYNC, file) ? -1 : real(file);
}

int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    return fails(SYNC, file) ? -1 : real(file);
}

int ftruncate(int file, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    return fails(TRUNCATE, file) ? -1 : real(file, size);
}

int ftruncate64(int file, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    return fails(TRUNCATE, file) ? -1 : real(file, size);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return path_fails(RENAME, from) ? -1 : real(from, to);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return path_fails(UNLINK, path) ? -1 : real(path);
}

int remove(const char *path) {
    REAL(int, "remove", const char *);
    return path_fails(UNLINK, path) ? -1 : real(path);
}
