/* Loaded before the C library (LD_PRELOAD): counts flushes and the bytes written to files by offset, which is how
 * SQLite writes, and makes each flush take longer, as one of a memory card does.
 *
 * SYNC_SHIM_COUNTS: a file of 16 bytes for the two counts, flushes first. SYNC_SHIM_DELAY_US: added to each flush. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static unsigned long unshared[2];
static unsigned long *counts = unshared;
static long delay_us;
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);

__attribute__((constructor)) static void begin(void) {
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    const char *delay = getenv("SYNC_SHIM_DELAY_US");
    delay_us = delay ? atol(delay) : 0;
    const char *path = getenv("SYNC_SHIM_COUNTS");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *shared = mmap(NULL, sizeof unshared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) counts = shared;
    close(file);
}

static int flushed(int result) {
    __atomic_add_fetch(&counts[0], 1, __ATOMIC_RELAXED);
    struct timespec delay = {delay_us / 1000000, delay_us % 1000000 * 1000};
    if (delay_us > 0) nanosleep(&delay, NULL);
    return result;
}

int fdatasync(int file) { return flushed(real_fdatasync(file)); }

int fsync(int file) { return flushed(real_fsync(file)); }

static ssize_t written(ssize_t result) {
    if (result > 0) __atomic_add_fetch(&counts[1], result, __ATOMIC_RELAXED);
    return result;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
    return written(real_pwrite(file, bytes, length, offset));
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) {
    return written(real_pwrite(file, bytes, length, offset));
}
