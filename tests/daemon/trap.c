/* A disk that fails when asked to, laid under the server by LD_PRELOAD. A file in the directory
 * TRAP says what is wrong as long as it exists, with the segments of the log if not said otherwise:
 *
 *   full        a write takes some of its bytes and then finds no space
 *   broken      a sync fails
 *   stalled     a sync never returns
 *
 *   unreadable  a read fails
 *   crowded     a write to a snapshot, not to the log, finds no space
 *
 * Every write, sync and renaming of a named file is noted in TRAP/trace. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int asked_for(const char *fault) {
    char path[PATH_MAX];
    const char *trap = getenv("TRAP");
    if (!trap) return 0;
    snprintf(path, sizeof path, "%s/%s", trap, fault);
    return access(path, F_OK) == 0;
}

static void note(const char *format, ...) {
    char line[PATH_MAX], path[PATH_MAX];
    const char *trap = getenv("TRAP");
    if (!trap) return;
    snprintf(path, sizeof path, "%s/trace", trap);
    int trace = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (trace < 0) return;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (write(trace, line, length) != length) abort();
    close(trace);
}

/* The last part of the name that a descriptor was opened by. */
static const char *name_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return base(path);
}

static int is_log(const char *name) { return strncmp(name, "log.", 4) == 0; }

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    char path[PATH_MAX];
    const char *name = name_of(file, path);
    note("write %s\n", name);
    if (is_log(name) && asked_for("full")) {
        if (count > 64) return real(file, bytes, count / 2, offset);
        errno = ENOSPC;
        return -1;
    }
    if (strncmp(name, "snapshot.", 9) == 0 && asked_for("crowded")) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t offset) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    char path[PATH_MAX];
    if (is_log(name_of(file, path)) && asked_for("unreadable")) {
        errno = EIO;
        return -1;
    }
    return real(file, bytes, count, offset);
}

static int synced(int file, int (*real)(int)) {
    char path[PATH_MAX];
    const char *name = name_of(file, path);
    note("sync %s\n", name);
    while (is_log(name) && asked_for("stalled")) pause();
    if (is_log(name) && asked_for("broken")) {
        errno = EIO;
        return -1;
    }
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    return synced(file, real);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    return synced(file, real);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = dlsym(RTLD_NEXT, "rename");
    note("rename %s %s\n", base(from), base(to));
    return real(from, to);
}
