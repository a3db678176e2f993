/* How fast the cores of a machine load memory together: each thread sums its own part of a buffer that no cache holds.
 *
 * bandwidth MEBIBYTES ROUNDS MILLISECONDS CPU...
 *
 * One thread a CPU, bound to it. A round ends when its time is up, not when a part has been read, so that a slow core
 * beside a fast one takes nothing from what the fast one could load. Every round is printed, in GB/s (10^9 bytes).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { LINE = 64, BLOCK = 1 << 18, MOST_CPUS = 1024, WARM_UP_ROUNDS = 1 };

struct reader {
    pthread_t thread;
    int cpu;
    int refused;
    const char *part;
    size_t size;
    double gbs;
};

static pthread_barrier_t gate;
static atomic_int time_is_up;
static int rounds;
static _Atomic uint64_t kept; /* What is summed is used, or the compiler would leave the loads out. */

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double) at.tv_sec + (double) at.tv_nsec * 1e-9;
}

/* A line is eight words; as many sums let the compiler use its widest vectors, and wait for no addition. */
static uint64_t sum(const char *block) {
    const uint64_t *words = (const uint64_t *) (const void *) block;
    uint64_t sums[32] = {0};
    for (size_t at = 0; at < BLOCK / sizeof *words; at += 32) {
        for (size_t lane = 0; lane < 32; lane++) {
            sums[lane] += words[at + lane];
        }
    }
    uint64_t total = 0;
    for (size_t lane = 0; lane < 32; lane++) {
        total ^= sums[lane];
    }
    return total;
}

static void read_until_time_is_up(struct reader *self) {
    uint64_t total = 0;
    uint64_t bytes = 0;
    size_t at = 0;
    const double begin = now();
    while (!atomic_load_explicit(&time_is_up, memory_order_relaxed)) {
        total ^= sum(self->part + at);
        bytes += BLOCK;
        at = at + BLOCK < self->size ? at + BLOCK : 0;
    }
    self->gbs = (double) bytes / (now() - begin) * 1e-9;
    kept ^= total;
}

static void *work(void *argument) {
    struct reader *self = argument;
    cpu_set_t mine;
    CPU_ZERO(&mine);
    CPU_SET((size_t) self->cpu, &mine);
    self->refused = sched_setaffinity(0, sizeof mine, &mine) != 0;
    /* Pages lie where they are first written. Not zeros: those may all be one page. */
    char *part = (char *) self->part;
    for (size_t at = 0; at < self->size; at += LINE) {
        part[at] = (char) (at / LINE + 1);
    }
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&gate);
        read_until_time_is_up(self);
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

static int fail(const char *what) {
    fprintf(stderr, "bandwidth: %s\n", what);
    return 1;
}

static int measure(struct reader *readers, int count, long milliseconds) {
    const struct timespec length = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    for (int which = 0; which < count; which++) {
        if (pthread_create(&readers[which].thread, NULL, work, &readers[which])) {
            return fail("no more threads can be started");
        }
    }
    for (int round = 0; round < rounds; round++) {
        atomic_store(&time_is_up, 0);
        pthread_barrier_wait(&gate);
        nanosleep(&length, NULL);
        atomic_store(&time_is_up, 1);
        pthread_barrier_wait(&gate);
        double together = 0;
        for (int which = 0; which < count; which++) {
            together += readers[which].gbs;
            if (readers[which].refused) {
                return fail("a thread may not run on its CPU");
            }
        }
        if (round >= WARM_UP_ROUNDS) {
            printf("gbs %.3f\n", together);
            fflush(stdout);
        }
        pthread_barrier_wait(&gate);
    }
    for (int which = 0; which < count; which++) {
        pthread_join(readers[which].thread, NULL);
    }
    return 0;
}

int main(int argc, char **argv) {
    static struct reader readers[MOST_CPUS];
    const int count = argc - 4;
    if (count < 1 || count > MOST_CPUS) {
        return fail("MEBIBYTES ROUNDS MILLISECONDS CPU...");
    }
    const long mebibytes = strtol(argv[1], NULL, 10), milliseconds = strtol(argv[3], NULL, 10);
    rounds = (int) strtol(argv[2], NULL, 10) + WARM_UP_ROUNDS;
    if (mebibytes < count || mebibytes > 1 << 20 || rounds <= WARM_UP_ROUNDS || rounds > 10000 || milliseconds < 1) {
        return fail("a number is out of range");
    }
    const size_t part = ((size_t) mebibytes << 20) / (size_t) count / BLOCK * BLOCK;
    char *buffer = mmap(NULL, part * (size_t) count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) {
        return fail("no memory");
    }
    for (int which = 0; which < count; which++) {
        const long cpu = strtol(argv[4 + which], NULL, 10);
        if (cpu < 0 || cpu >= CPU_SETSIZE) {
            return fail("no such CPU");
        }
        readers[which] = (struct reader) {.cpu = (int) cpu, .part = buffer + part * (size_t) which, .size = part};
    }
    printf("edgepack-bandwidth 1\nthreads %d\nbytes %zu\n", count, part * (size_t) count);
    pthread_barrier_init(&gate, NULL, (unsigned) count + 1);
    return measure(readers, count, milliseconds);
}
