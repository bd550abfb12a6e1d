/* What a server under test believes of its clock and feels of its disk, by a page of memory that
 * the test shares with it: the file that OSTLER_SHIM names. Loaded by LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct controls {
    volatile int64_t clock_offset_ns;
    volatile int64_t sync_delay_us;
};

static struct controls none;
static struct controls *controls = &none;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("OSTLER_SHIM");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    if (file >= 0) {
        void *page = mmap(NULL, sizeof *controls, PROT_READ, MAP_SHARED, file, 0);
        if (page != MAP_FAILED)
            controls = page;
        close(file);
    }
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = real_clock_gettime(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t all = now->tv_sec * 1000000000LL + now->tv_nsec + controls->clock_offset_ns;
        now->tv_sec = all / 1000000000LL;
        now->tv_nsec = all % 1000000000LL;
    }
    return failed;
}

static void delay(void)
{
    int64_t us = controls->sync_delay_us;
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (us > 0 && nanosleep(&left, &left) && errno == EINTR)
        ;
}

int fdatasync(int file)
{
    delay();
    return real_fdatasync(file);
}

int fsync(int file)
{
    delay();
    return real_fsync(file);
}
