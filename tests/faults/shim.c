/* What one process sees of clock and disk, changed while it runs: loaded by LD_PRELOAD, led by a mapped file.
 *
 * FAULTS_CONTROL names a file of three int64: the process meant (0: all), seconds added to the time of day, and
 * microseconds that a write and a sync take longer. Clocks that only go forward stay as they are, as they do when
 * somebody sets the clock of a machine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *control;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, 24, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED) control = found;
}

static int64_t told(int place) {
    if (!control || (control[0] && control[0] != getpid())) return 0;
    return control[place];
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *out) {
    static __typeof__(&clock_gettime) real;
    if (!real) real = REAL(clock_gettime);
    int code = real(clock, out);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += told(1);
    return code;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    static __typeof__(&gettimeofday) real;
    if (!real) real = REAL(gettimeofday);
    int code = real(out, zone);
    if (code == 0) out->tv_sec += told(1);
    return code;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

static void wait_for_disk(void) {
    int64_t microseconds = told(2);
    if (microseconds > 0) usleep((useconds_t)microseconds);
}

int fsync(int file) {
    static __typeof__(&fsync) real;
    if (!real) real = REAL(fsync);
    wait_for_disk();
    return real(file);
}

int fdatasync(int file) {
    static __typeof__(&fdatasync) real;
    if (!real) real = REAL(fdatasync);
    wait_for_disk();
    return real(file);
}

ssize_t pwrite64(int file, const void *content, size_t size, off64_t place) {
    static __typeof__(&pwrite64) real;
    if (!real) real = REAL(pwrite64);
    wait_for_disk();
    return real(file, content, size, place);
}
