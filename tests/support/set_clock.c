/* Preloaded into a process, it sets that process' wall clock: ahead of the true one by so many nanoseconds as the
 * first eight bytes of the file GAMEKEEPER_TEST_CLOCK say, which may change at any time. No other clock moves. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static volatile const int64_t *ahead;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("GAMEKEEPER_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    /* A clock that is not set would prove nothing. */
    if (map == MAP_FAILED) abort();
    close(file);
    ahead = map;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, id, now);
    if (failed || !ahead || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return (int)failed;
    int64_t by = *ahead, nanos = now->tv_nsec + by % SECOND;
    now->tv_sec += by / SECOND;
    if (nanos < 0) now->tv_sec -= 1, nanos += SECOND;
    if (nanos >= SECOND) now->tv_sec += 1, nanos -= SECOND;
    now->tv_nsec = nanos;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec at;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &at)) return -1;
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec at;
    if (clock_gettime(CLOCK_REALTIME, &at)) return -1;
    if (now) *now = at.tv_sec;
    return at.tv_sec;
}
