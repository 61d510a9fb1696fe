/* Training steps of one multilayer perceptron on images that are mostly black: the hot loop of the lockstep
   engine, compiled when it is first needed (build.py does that, backend.py calls it).

   Sums run along examples, pixels or units in an order that the network's shape and the batch alone decide;
   the lanes of a vector are units, each with its own sum. So a network's bits cannot depend on what trains
   beside it, nor on how many threads share its work: a thread takes whole sums, never a part of one. Black
   pixels are left out: exact in the mathematics, for they add 0; where black is not the input 0 (scaling
   other than `unit`), its share is the same for every pixel and is added at once.

   Layout: weights [inputs, width], biases [width], where width is the number of units rounded up to whole
   vectors; what fills up is 0 and never read as a unit. Activations and deltas are [example, width].

   Equations (Goodfellow, Bengio, Courville 2016, algorithms 6.3 and 6.4; softmax and cross-entropy: section
   6.2.2.3), for one batch of B examples:
       z_l = a_{l-1} W_l + b_l,   a_l = max(z_l, 0),   a_0 = x
       loss = mean(log(sum(exp(z_L))) - z_L[label])
       d_L = (softmax(z_L) - onehot(label)) / B,   d_{l-1} = (d_l W_l^T) * (a_{l-1} > 0)
       grad W_l = a_{l-1}^T d_l,   grad b_l = sum(d_l)                                              */

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

#ifdef __AVX512F__
#define VECTOR_BYTES 64
#else
#define VECTOR_BYTES 32
#endif
#define LANES ((int64_t)(VECTOR_BYTES / sizeof(real)))
typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef __typeof__((vec){0} < (vec){0}) mask;

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define PIXELS 784
#define MAX_LAYERS 65
#define MAX_THREADS 256

enum { SGD, MOMENTUM, NESTEROV, ADAM, ADAMW };

/* One network: what it is, where its numbers lie, how it is updated. */
typedef struct {
    int64_t layers;                /* linear layers, 1 .. MAX_LAYERS */
    int64_t sizes[MAX_LAYERS + 1]; /* units, inputs first */
    real *parameters;              /* of each layer its weights, then its biases */
    real *first_moment;            /* momentum, or Adam's mean of gradients; laid out alike */
    real *second_moment;           /* Adam's mean of squared gradients */
    int64_t optimiser;             /* SGD .. ADAMW */
    double weight_decay, beta1, beta2, epsilon; /* beta1 is the momentum as well */
    real *scratch;                 /* scratch_numbers() of them */
} network;

/* A data set's images as lists of what is not black, each made when its image is first used. */
typedef struct {
    uint32_t **list; /* [images] pixel << 8 | brightness; 0: not made yet */
    int32_t *count;  /* [images] pixels of each list */
    uint32_t *free, *end; /* room for more lists */
} image_lists;

/* Batches as lists of what is not black: by example for the way forward, by pixel for the way back. */
typedef struct {
    real *table;            /* [256] what a pixel's brightness makes, less what black does */
    int64_t *example_start; /* [examples + 1] into pixel, value */
    int32_t *pixel;
    real *value;
    int64_t *pixel_start;   /* [batches, PIXELS + 1] into example, pixel_value */
    int32_t *example;       /* within its batch */
    real *pixel_value;
    uint8_t *label;         /* [examples] */
    double black;           /* the input that a black pixel makes */
} batches;

INLINE int64_t vectors(int64_t units) { return (units + LANES - 1) / LANES; }

#ifndef BUILT_BY
#define BUILT_BY "unknown"
#endif

/* Which compiler made this, in its own words. */
const char *built_by(void) { return BUILT_BY; }

int64_t lanes(void) { return LANES; }

/* ---- Threads ---- */

struct team;
typedef struct { struct team *team; int64_t index; } thread;
typedef void work(const thread *me, void *job);

/* Threads that do a job together, each its share of every phase of it; between two phases they meet. */
typedef struct team {
    int64_t count; /* of threads, the one that calls included */
    work *work;    /* 0: there is none any more */
    void *job;
    pid_t process;
    pthread_mutex_t lock;
    pthread_cond_t news;
    atomic_int_fast64_t sleepers;
    thread members[MAX_THREADS];
    pthread_t started[MAX_THREADS];
    _Alignas(64) atomic_int_fast64_t jobs;     /* that were handed out */
    _Alignas(64) atomic_int_fast64_t arrived;  /* at the next meeting */
    _Alignas(64) atomic_int_fast64_t meetings; /* that have ended */
} team;

/* How long a thread waits for the others before it sleeps: first busily, a few microseconds, as the phases of a
   small network take no longer; then it lets others have the core. Waking takes tens of microseconds. */
#define SPINS 256
#define YIELDS 16

INLINE void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Wait until the counter is no longer what it was. */
static void wait_for(team *all, atomic_int_fast64_t *counter, int_fast64_t before) {
    for (int i = 0; i < SPINS + YIELDS; i++) {
        if (atomic_load(counter) != before) return;
        if (i < SPINS) pause_briefly();
        else sched_yield();
    }
    pthread_mutex_lock(&all->lock);
    atomic_fetch_add(&all->sleepers, 1); /* first, or who counts on might miss this sleeper, and it the news */
    while (atomic_load(counter) == before) pthread_cond_wait(&all->news, &all->lock);
    atomic_fetch_sub(&all->sleepers, 1);
    pthread_mutex_unlock(&all->lock);
}

static void count_on(team *all, atomic_int_fast64_t *counter) {
    atomic_fetch_add(counter, 1);
    if (atomic_load(&all->sleepers) == 0) return;
    pthread_mutex_lock(&all->lock);
    pthread_cond_broadcast(&all->news);
    pthread_mutex_unlock(&all->lock);
}

/* Wait until all threads of the team have come here; then each sees what the others wrote before. */
static void meet(const thread *me) {
    team *all = me->team;
    if (all->count == 1) return;
    const int_fast64_t meeting = atomic_load(&all->meetings);
    if (atomic_fetch_add(&all->arrived, 1) + 1 < all->count) {
        wait_for(all, &all->meetings, meeting);
        return;
    }
    atomic_store(&all->arrived, 0);
    count_on(all, &all->meetings);
}

static void *serve(void *argument) {
    const thread *me = argument;
    team *all = me->team;
    for (int64_t jobs = 0;; jobs++) {
        wait_for(all, &all->jobs, jobs);
        if (all->work == 0) return 0;
        all->work(me, all->job);
        meet(me);
    }
}

static void hand_out(team *all, work *work, void *job) {
    all->work = work;
    all->job = job;
    count_on(all, &all->jobs);
}

/* A team of so many threads, the one that calls included, or of as many as the system gives; 0 without memory.
   They sleep while there is no work for them. */
team *make_team(int64_t threads) {
    team *all = aligned_alloc(64, sizeof(team));
    if (all == 0) return 0;
    memset(all, 0, sizeof(team));
    pthread_mutex_init(&all->lock, 0);
    pthread_cond_init(&all->news, 0);
    all->process = getpid();
    for (int64_t i = 0; i < MAX_THREADS; i++) all->members[i] = (thread){all, i};
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before); /* signals are for the threads that Python knows */
    all->count = 1; /* read by the others when there is a job, so when it has its last value */
    while (all->count < threads && all->count < MAX_THREADS &&
           pthread_create(&all->started[all->count], 0, serve, &all->members[all->count]) == 0)
        all->count++;
    pthread_sigmask(SIG_SETMASK, &before, 0);
    return all;
}

int64_t team_size(const team *all) { return all->count; }

/* In a process that was forked meanwhile the team's threads are not there, and its lock may be held for ever. */
INLINE int is_here(const team *all) { return all->process == getpid(); }

void end_team(team *all) {
    if (!is_here(all)) return;
    hand_out(all, 0, 0);
    for (int64_t i = 1; i < all->count; i++) pthread_join(all->started[i], 0);
    pthread_cond_destroy(&all->news);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* Have the team do a job; without one the thread that calls does it alone. */
static void together(team *all, work *work, void *job) {
    if (all && is_here(all)) {
        hand_out(all, work, job);
        work(&all->members[0], job);
        meet(&all->members[0]);
    } else {
        team alone = {.count = 1, .lock = PTHREAD_MUTEX_INITIALIZER};
        work(&(thread){&alone, 0}, job);
    }
}

typedef struct { int64_t from, to; } range;

/* This thread's share of n things that take the same time, in whole groups. */
static range share(const thread *me, int64_t n, int64_t group) {
    const int64_t groups = (n + group - 1) / group, count = me->team->count;
    const int64_t from = groups * me->index / count * group, to = groups * (me->index + 1) / count * group;
    return (range){from < n ? from : n, to < n ? to : n};
}

/* Lists take the time of their entries, and of some more each. */
#define LIST_ENTRIES 4

/* The first of n lists before which there is at least so much work. */
static int64_t list_at(const int64_t *start, int64_t n, int64_t work) {
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (start[middle] - start[0] + LIST_ENTRIES * middle < work) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* This thread's share of n lists, of which list i has the entries start[i] .. start[i + 1]. */
static range share_of_lists(const thread *me, const int64_t *start, int64_t n) {
    const int64_t work = start[n] - start[0] + LIST_ENTRIES * n, count = me->team->count;
    const int64_t to = me->index + 1 < count ? list_at(start, n, work * (me->index + 1) / count) : n;
    return (range){list_at(start, n, work * me->index / count), to};
}

/* ---- Products ---- */

#define MOST_SUMS 13 /* vectors of sums that registers hold beside what is multiplied */

/* Compilers like to read a row from memory for each use: that takes longer than to multiply. */
#ifdef __AVX__
#define IN_REGISTER(vector) __asm__("" : "+x"(vector))
#else
#define IN_REGISTER(vector) (void)(vector)
#endif

/* sum over i of weight[i] * rows[index[i]], for T vectors of each row; C partial sums hide the latency. */
INLINE void weighted_sum(const int T, const int C, vec *restrict sum, const vec *restrict rows, int64_t stride,
                         const int32_t *restrict index, const real *restrict weight, int64_t n) {
    vec part[MOST_SUMS];
    UNROLL for (int s = 0; s < C * T; s++) part[s] = (vec){0};
    int64_t i = 0;
    for (; i + C <= n; i += C) {
        UNROLL for (int c = 0; c < C; c++) {
            const vec *row = rows + index[i + c] * stride;
            const real w = weight[i + c];
            UNROLL for (int t = 0; t < T; t++) part[c * T + t] += w * row[t];
        }
    }
    for (; i < n; i++) {
        const vec *row = rows + index[i] * stride;
        const real w = weight[i];
        UNROLL for (int t = 0; t < T; t++) part[t] += w * row[t];
    }
    UNROLL for (int t = 0; t < T; t++) {
        vec total = part[t];
        UNROLL for (int c = 1; c < C; c++) total += part[c * T + t];
        sum[t] = total;
    }
}

/* From this width on each number of a sparse row is one sum in one order, so that threads may share columns. They
   share pairs: for some processors GCC does not fuse the multiplications and additions of a loop that has but one
   sum, which would make other bits of a single column. */
#define WIDE 7

/* Columns mine.from .. mine.to, all where they may not be shared, of a sum of rows that are `width` wide. */
static void sparse_row(range mine, vec *restrict sum, int64_t width, const vec *restrict rows,
                       const int32_t *restrict index, const real *restrict weight, int64_t n) {
#define CASE(T, C) case T: weighted_sum(T, C, sum + t, rows + t, width, index, weight, n); t += T; break;
    int64_t t = mine.from;
    if (width < WIDE)
        switch (width) { CASE(1, 8) CASE(2, 4) CASE(3, 4) CASE(4, 2) CASE(5, 2) CASE(6, 2) }
    else
        while (t < mine.to) {
            const int64_t left = mine.to - t;
            switch (left <= MOST_SUMS ? left : left < 24 ? (left + 1) / 2 : 12) {
            CASE(2, 1) CASE(3, 1) CASE(4, 1) CASE(5, 1) CASE(6, 1) CASE(7, 1) CASE(8, 1) CASE(9, 1)
            CASE(10, 1) CASE(11, 1) CASE(12, 1) CASE(13, 1)
            }
        }
#undef CASE
}

/* out[r] = sum over k of a[r, k] * b[k] for R rows and T vectors. */
INLINE void product_tile(const int R, const int T, vec *restrict out, int64_t stride, const real *restrict a,
                         int64_t a_row, int64_t a_column, const vec *restrict b, int64_t n) {
    vec sum[MOST_SUMS];
    UNROLL for (int s = 0; s < R * T; s++) sum[s] = (vec){0};
    for (int64_t k = 0; k < n; k++) {
        vec row[MOST_SUMS];
        UNROLL for (int t = 0; t < T; t++) { row[t] = b[k * stride + t]; IN_REGISTER(row[t]); }
        UNROLL for (int r = 0; r < R; r++) {
            const real w = a[r * a_row + k * a_column];
            UNROLL for (int t = 0; t < T; t++) sum[r * T + t] += w * row[t];
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int t = 0; t < T; t++) out[r * stride + t] = sum[r * T + t];
}

INLINE vec relu(vec z) { return (vec)((mask)z & ~(z < (vec){0})); } /* keeps what is not a number */

/* What becomes of a product: z of the last layer, activations of another, deltas of the layer before. */
typedef enum { PLAIN, LOGITS, HIDDEN, DELTAS } ending;

/* with: biases, [width]; for deltas the activations, [rows, width] */
INLINE void end_product(ending end, vec *restrict out, const vec *restrict with, int64_t width, int64_t from,
                        int64_t to, int64_t t, int64_t tile) {
    if (end == PLAIN) return;
    for (int64_t r = from; r < to; r++)
        for (int64_t c = r * width + t; c < r * width + t + tile; c++) {
            if (end == DELTAS) out[c] = (vec)((mask)out[c] & (with[c] > (vec){0}));
            else if (end == HIDDEN) out[c] = relu(out[c] + with[c - r * width]);
            else out[c] += with[c - r * width];
        }
}

/* Of how many tiles a product is made: up to 3 vectors wide, 4 rows high. */
INLINE int64_t tiles(int64_t rows, int64_t width) { return (width + 2) / 3 * ((rows + 3) / 4); }

/* These tiles of out[r] = sum over k of a[r, k] * b[k]. Each number is one sum in one order, whatever its tile. */
static void product(range mine, vec *restrict out, int64_t rows, int64_t width, const real *restrict a, int64_t a_row,
                    int64_t a_column, const vec *restrict b, int64_t n, ending end, const vec *restrict with) {
    const int64_t high = (rows + 3) / 4;
    for (int64_t t = 0; t < width; mine.from -= high, mine.to -= high) {
        const int64_t left = width - t, tile = left == 4 ? 2 : left < 3 ? left : 3;
        const int64_t from = mine.from > 0 ? 4 * mine.from : 0, to = 4 * mine.to < rows ? 4 * mine.to : rows;
        int64_t r = from;
        for (; r + 4 <= to; r += 4) {
            const real *row = a + r * a_row;
            if (tile == 3) product_tile(4, 3, out + r * width + t, width, row, a_row, a_column, b + t, n);
            else if (tile == 2) product_tile(4, 2, out + r * width + t, width, row, a_row, a_column, b + t, n);
            else product_tile(4, 1, out + r * width + t, width, row, a_row, a_column, b + t, n);
        }
        for (; r < to; r++) {
            const real *row = a + r * a_row;
            if (tile == 3) product_tile(1, 3, out + r * width + t, width, row, a_row, a_column, b + t, n);
            else if (tile == 2) product_tile(1, 2, out + r * width + t, width, row, a_row, a_column, b + t, n);
            else product_tile(1, 1, out + r * width + t, width, row, a_row, a_column, b + t, n);
        }
        end_product(end, out, with, width, from, to, t, tile);
        t += tile;
    }
}

/* ---- Updates ---- */

typedef struct { real rate, decay, beta1, beta2, epsilon, correction1, correction2; int64_t kind, first; } update_rule;

INLINE vec root(vec x) {
    vec y;
    UNROLL for (int64_t i = 0; i < LANES; i++) y[i] = sizeof(real) == 4 ? (real)sqrtf((float)x[i]) : (real)sqrt((double)x[i]);
    return y;
}

static void update(const update_rule *rule, vec *restrict w, vec *restrict m, vec *restrict v, const vec *restrict g, int64_t n) {
    const real rate = rule->rate, decay = rule->decay, b1 = rule->beta1, b2 = rule->beta2;
    if (rule->kind == SGD) {
        if (decay == 0) for (int64_t t = 0; t < n; t++) w[t] -= rate * g[t];
        else for (int64_t t = 0; t < n; t++) w[t] -= rate * (g[t] + decay * w[t]);
    } else if (rule->kind <= NESTEROV) {
        for (int64_t t = 0; t < n; t++) {
            const vec slope = g[t] + decay * w[t];
            const vec velocity = rule->first ? slope : b1 * m[t] + slope;
            m[t] = velocity;
            w[t] -= rate * (rule->kind == MOMENTUM ? velocity : slope + b1 * velocity);
        }
    } else {
        const real shrink = rule->kind == ADAMW ? 1 - rate * decay : 1, coupled = rule->kind == ADAM ? decay : 0;
        const real pace = rate / rule->correction1;
        for (int64_t t = 0; t < n; t++) {
            const vec old = w[t] * shrink, slope = g[t] + coupled * old;
            m[t] += (1 - b1) * (slope - m[t]);
            v[t] = b2 * v[t] + (1 - b2) * slope * slope;
            w[t] = old - pace * m[t] / (root(v[t]) / rule->correction2 + rule->epsilon);
        }
    }
}

/* ---- Packing ---- */

/* List what is not black in the images at these positions, of those that have no list yet, as far as there is room.
   Returns for how many positions there is a list now, from the first one on: n when that is all of them. */
int64_t list_images(image_lists *lists, const uint8_t *images, const int64_t *positions, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = positions[i];
        const uint8_t *restrict image = images + at * PIXELS;
        uint32_t *restrict list = lists->free;
        int64_t k = 0;
        if (lists->list[at]) continue;
        if (lists->end - list < PIXELS + 8) return i; /* up to 7 places beyond a list are written to */
        for (int p = 0; p < PIXELS; p += 8) {
            uint64_t eight;
            memcpy(&eight, image + p, 8);
            if (eight == 0) continue;
            for (int q = 0; q < 8; q++) { /* branchless: written always, kept when not black */
                list[k] = (uint32_t)(p + q) << 8 | image[p + q];
                k += image[p + q] != 0;
            }
        }
        lists->list[at] = list;
        lists->count[at] = (int32_t)k;
        lists->free = list + k;
    }
    return n;
}

/* What `pack` is asked for. */
typedef struct {
    const image_lists *lists;
    const int64_t *positions;
    int64_t n;
    const batches *out;
} packing;

/* Images are asked for in random order: their lists are on their way to the cache while others are packed. */
#define AHEAD 4
#define CACHE_LINE 64

INLINE void fetch(const image_lists *lists, int64_t at) {
    for (int64_t k = 0; k < lists->count[at]; k += CACHE_LINE / (int64_t)sizeof(uint32_t))
        __builtin_prefetch(lists->list[at] + k);
}

static void pack_together(const thread *me, void *job) {
    const packing *of = job;
    const real *restrict table = of->out->table;
    const range mine = share(me, of->n, 1);
    for (int64_t i = mine.from; i < mine.to; i++) {
        const int64_t at = of->positions[i], count = of->lists->count[at], start = of->out->example_start[i];
        const uint32_t *restrict list = of->lists->list[at];
        if (i + AHEAD < mine.to) fetch(of->lists, of->positions[i + AHEAD]);
        int32_t *restrict pixel = of->out->pixel + start;
        real *restrict value = of->out->value + start;
        for (int64_t k = 0; k < count; k++) {
            pixel[k] = (int32_t)(list[k] >> 8);
            value[k] = table[list[k] & 255];
        }
    }
}

/* What is not black in n images that have lists, as inputs, by example. */
void pack(team *all, const image_lists *lists, const int64_t *positions, int64_t n, const batches *out) {
    packing job = {lists, positions, n, out};
    int64_t *start = out->example_start;
    start[0] = 0;
    for (int64_t i = 0; i < n; i++) start[i + 1] = start[i] + lists->count[positions[i]];
    together(all, pack_together, &job);
}

/* What `pack_pixels` is asked for. */
typedef struct {
    const int64_t *batch_start;
    int64_t count;
    const batches *lists;
} pixel_packing;

/* The first entry of an example's list, from .. to, that is of this pixel or a later one. */
INLINE int64_t entry_of(int64_t first, const int32_t *pixel, int64_t from, int64_t to) {
    if (first == 0) return from;
    if (first == PIXELS) return to;
    while (from < to) {
        const int64_t middle = (from + to) / 2;
        if (pixel[middle] < first) from = middle + 1;
        else to = middle;
    }
    return from;
}

static void pack_pixels_together(const thread *me, void *job) {
    const pixel_packing *of = job;
    const batches *lists = of->lists;
    const int64_t *start = lists->example_start;
    const int32_t *restrict pixel = lists->pixel;
    const real *restrict value = lists->value;
    int32_t *restrict example = lists->example;
    real *restrict pixel_value = lists->pixel_value;
    const range mine = share(me, PIXELS, 1);
    for (int64_t s = 0; s < of->count; s++) {
        const int64_t first = of->batch_start[s], last = of->batch_start[s + 1];
        int64_t *restrict pixel_start = lists->pixel_start + s * (PIXELS + 1);
        int64_t next[PIXELS + 1] = {0}, sum = start[first];
        for (int64_t b = first; b < last; b++) {
            const int64_t from = entry_of(mine.from, pixel, start[b], start[b + 1]);
            const int64_t to = entry_of(mine.to, pixel, from, start[b + 1]);
            for (int64_t k = from; k < to; k++) next[pixel[k] + 1]++;
            sum += from - start[b];
        }
        for (int64_t p = mine.from; p < mine.to; p++) pixel_start[p] = next[p] = sum += next[p];
        if (mine.to == PIXELS) pixel_start[PIXELS] = start[last];
        for (int64_t b = first; b < last; b++) {
            const int64_t from = entry_of(mine.from, pixel, start[b], start[b + 1]);
            const int64_t to = entry_of(mine.to, pixel, from, start[b + 1]);
            for (int64_t k = from; k < to; k++) {
                const int64_t at = next[pixel[k]]++;
                example[at] = (int32_t)(b - first);
                pixel_value[at] = value[k];
            }
        }
    }
}

/* The same lists by pixel, batch by batch; within a pixel the examples come in their order. */
void pack_pixels(team *all, const int64_t *batch_start, int64_t count, const batches *lists) {
    pixel_packing job = {batch_start, count, lists};
    together(all, pack_pixels_together, &job);
}

/* ---- Passes ---- */

/* What one example gives. */
typedef struct { real loss, is_right; } verdict;

/* Vectors between what two threads write to all the time: cache lines, and pairs of them, change cores slowly. */
#define GAP 4

/* Where a network's scratch has what for batches of n examples. */
typedef struct {
    vec *base, *gradient_row;     /* each as wide as the widest layer; the latter with gaps between threads */
    verdict *verdicts;            /* [n] */
    vec *activations[MAX_LAYERS]; /* [n, width] each; the last are logits, then deltas */
    vec *deltas[2];               /* [n, width], of hidden layers, taking turns */
    vec *transposed, *gradient;   /* of a later layer's weights */
    vec *end;
} layout;

INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static layout scratch_layout(const network *net, int64_t n) {
    int64_t widest = 0, hidden = 0, transposed = 0, gradient = 0;
    for (int64_t l = 0; l < net->layers; l++) {
        const int64_t inputs = net->sizes[l], units = net->sizes[l + 1], width = vectors(units);
        widest = larger(widest, width);
        if (l == 0) continue;
        hidden = larger(hidden, vectors(inputs));
        transposed = larger(transposed, units * vectors(inputs));
        gradient = larger(gradient, inputs * width);
    }
    layout at;
    vec *free = (vec *)net->scratch;
#define TAKE(numbers) (free += (numbers), free - (numbers))
    at.base = TAKE(widest);
    at.gradient_row = TAKE(widest + GAP * MAX_THREADS);
    at.verdicts = (verdict *)TAKE(vectors(2 * n));
    for (int64_t l = 0; l < net->layers; l++) at.activations[l] = TAKE(n * vectors(net->sizes[l + 1]));
    at.deltas[0] = TAKE(n * hidden);
    at.deltas[1] = TAKE(n * hidden);
    at.transposed = TAKE(transposed);
    at.gradient = TAKE(gradient);
    at.end = free;
#undef TAKE
    return at;
}

/* Numbers of scratch that batches of n examples need. */
int64_t scratch_numbers(const network *net, int64_t n) {
    return (scratch_layout(net, n).end - (vec *)net->scratch) * LANES;
}

INLINE int64_t layer_numbers(const network *net, int64_t l) { return (net->sizes[l] + 1) * vectors(net->sizes[l + 1]); }

/* Sums of rows of the first layer: of some lists, some columns. */
typedef struct { range lists, columns; } region;

/* This thread's share of n lists of examples or pixels: some of their columns, for then the weights stay in the
   cache of one core; where columns may not be shared, some of the lists. */
static region share_of_sums(const thread *me, int64_t width, const int64_t *start, int64_t n) {
    if (width < WIDE) return (region){share_of_lists(me, start, n), {0, width}};
    region mine = {{0, n}, share(me, width - width % 2, 2)};
    if (me->index + 1 == me->team->count) mine.columns.to = width; /* with the odd one */
    return mine;
}

/* z of the first layer, or its activations, from the lists of n examples. */
static void first_layer(const thread *me, const network *net, const batches *in, int64_t from, int64_t n,
                        const layout *at) {
    const int64_t width = vectors(net->sizes[1]);
    const vec *weights = (vec *)net->parameters, *base = weights + PIXELS * width;
    vec *out = at->activations[0];
    if (in->black != 0) {
        vec *restrict sum = at->base;
        const range mine = share(me, width, 1);
        for (int64_t t = mine.from; t < mine.to; t++) sum[t] = base[t];
        for (int64_t p = 0; p < PIXELS; p++)
            for (int64_t t = mine.from; t < mine.to; t++) sum[t] += (real)in->black * weights[p * width + t];
        base = sum;
        meet(me);
    }
    const region mine = share_of_sums(me, width, in->example_start + from, n);
    const range columns = mine.columns;
    for (int64_t b = mine.lists.from; b < mine.lists.to; b++) {
        const int64_t start = in->example_start[from + b], end = in->example_start[from + b + 1];
        vec *row = out + b * width;
        sparse_row(columns, row, width, weights, in->pixel + start, in->value + start, end - start);
        if (net->layers > 1)
            for (int64_t t = columns.from; t < columns.to; t++) row[t] = relu(row[t] + base[t]);
        else for (int64_t t = columns.from; t < columns.to; t++) row[t] += base[t];
    }
    meet(me);
}

/* Activations of all layers for n examples; the last are logits. */
static void forward(const thread *me, const network *net, const batches *in, int64_t from, int64_t n,
                    const layout *at) {
    first_layer(me, net, in, from, n, at);
    const vec *weights = (vec *)net->parameters + layer_numbers(net, 0);
    for (int64_t l = 1; l < net->layers; l++) {
        const int64_t inputs = net->sizes[l], width = vectors(net->sizes[l + 1]);
        product(share(me, tiles(n, width), 1), at->activations[l], n, width, (real *)at->activations[l - 1],
                vectors(inputs) * LANES, 1, weights, inputs, l + 1 < net->layers ? HIDDEN : LOGITS,
                weights + inputs * width);
        weights += layer_numbers(net, l);
        meet(me);
    }
}

/* Cross-entropy of one example. The logits become exp(z - max), of which *sum is the sum. */
static real cross_entropy(real *z, int64_t classes, int64_t label, real *sum, int64_t *likeliest) {
    real top = z[0], total = 0;
    *likeliest = 0;
    for (int64_t c = 1; c < classes; c++)
        if (z[c] > top || z[c] != z[c]) top = z[*likeliest = c]; /* what is not a number stays */
    const real below_top = top - z[label];
    for (int64_t c = 0; c < classes; c++) {
        z[c] = sizeof(real) == 4 ? (real)expf((float)(z[c] - top)) : (real)exp((double)(z[c] - top));
        total += z[c];
    }
    *sum = total;
    return below_top + (sizeof(real) == 4 ? (real)logf((float)total) : (real)log((double)total));
}

/* Logits become deltas; what each example gave becomes its verdict. */
static void output_deltas(const thread *me, vec *logits, int64_t classes, const uint8_t *labels, int64_t n,
                          verdict *verdicts) {
    const int64_t width = vectors(classes);
    const range mine = share(me, n, 1);
    for (int64_t b = mine.from; b < mine.to; b++) {
        real *z = (real *)(logits + b * width), sum;
        int64_t likeliest;
        verdicts[b].loss = cross_entropy(z, classes, labels[b], &sum, &likeliest);
        verdicts[b].is_right = likeliest == labels[b];
        for (int64_t c = classes; c < width * LANES; c++) z[c] = 0;
        const real share_of_one = 1 / (sum * n);
        for (int64_t t = 0; t < width; t++) logits[b * width + t] *= share_of_one;
        z[labels[b]] -= (real)1 / n;
    }
    meet(me);
}

/* Sum of n losses, in their order. */
static double loss_sum(const verdict *verdicts, int64_t n) {
    double sum = 0;
    for (int64_t b = 0; b < n; b++) sum += verdicts[b].loss;
    return sum;
}

/* Weights and their moments, of one layer. */
typedef struct { vec *w, *m, *v; } layer_arrays;

static layer_arrays arrays_of(const network *net, int64_t layer) {
    int64_t at = 0;
    for (int64_t l = 0; l < layer; l++) at += layer_numbers(net, l);
    vec *m = (vec *)net->first_moment, *v = (vec *)net->second_moment;
    return (layer_arrays){(vec *)net->parameters + at, m ? m + at : 0, v ? v + at : 0};
}

static void update_at(const update_rule *rule, layer_arrays layer, int64_t at, const vec *gradient, int64_t n) {
    update(rule, layer.w + at, layer.m ? layer.m + at : 0, layer.v ? layer.v + at : 0, gradient, n);
}

/* Gradient, which is the sum of the deltas, and update of a layer's biases. */
static void bias_update(const thread *me, const network *net, int64_t l, int64_t n, const update_rule *rule, const vec *delta,
                        vec *restrict sum) {
    const int64_t width = vectors(net->sizes[l + 1]);
    const range mine = share(me, width, 1);
    if (mine.from == mine.to) return;
    for (int64_t t = mine.from; t < mine.to; t++) sum[t] = (vec){0};
    for (int64_t b = 0; b < n; b++)
        for (int64_t t = mine.from; t < mine.to; t++) sum[t] += delta[b * width + t];
    update_at(rule, arrays_of(net, l), net->sizes[l] * width + mine.from, sum + mine.from, mine.to - mine.from);
}

/* Gradient and update of the first layer's weights, from the lists by pixel. */
static void first_layer_update(const thread *me, const network *net, const batches *in, int64_t batch, const update_rule *rule,
                               const vec *delta, const layout *at) {
    const int64_t width = vectors(net->sizes[1]);
    const layer_arrays layer = arrays_of(net, 0);
    const int64_t *start = in->pixel_start + batch * (PIXELS + 1);
    const real black = in->black;
    const vec *delta_sum = at->base;
    vec narrow[WIDE], *restrict gradient = width < WIDE ? narrow : at->gradient_row + GAP * me->index;
    if (black != 0) meet(me); /* for the sum of the deltas */
    const region mine = share_of_sums(me, width, start, PIXELS);
    const range columns = mine.columns;
    for (int64_t p = mine.lists.from; p < mine.lists.to; p++) {
        const int64_t k = start[p], count = start[p + 1] - k;
        if (count == 0 && black == 0 && rule->kind == SGD && rule->decay == 0) continue; /* nothing moves */
        sparse_row(columns, gradient, width, delta, in->example + k, in->pixel_value + k, count);
        if (black != 0)
            for (int64_t t = columns.from; t < columns.to; t++) gradient[t] += black * delta_sum[t];
        update_at(rule, layer, p * width + columns.from, gradient + columns.from, columns.to - columns.from);
    }
    meet(me);
}

/* out[j] = column j of a later layer's weights, for this thread's share of the inputs. */
static void transpose(const thread *me, const real *weights, int64_t inputs, int64_t units, vec *out) {
    const int64_t width = vectors(units), in_width = vectors(inputs);
    const range mine = share(me, in_width, 2);
    for (int64_t i = mine.from * LANES; i < mine.to * LANES; i += LANES)
        for (int64_t j = 0; j < units; j++) {
            real *to = (real *)out + j * in_width * LANES + i;
            const real *from = weights + i * width * LANES + j;
            if (i + LANES <= inputs) UNROLL for (int64_t k = 0; k < LANES; k++) to[k] = from[k * width * LANES];
            else for (int64_t k = 0; k < LANES; k++) to[k] = i + k < inputs ? from[k * width * LANES] : 0;
        }
    meet(me);
}

/* The deltas of the layer before, with the weights as they were; gradient and update of a later layer's
   weights. */
static void later_layer_update(const thread *me, const network *net, int64_t l, int64_t n, const update_rule *rule,
                               const vec *delta, vec *deltas_before, const layout *at) {
    const int64_t inputs = net->sizes[l], units = net->sizes[l + 1];
    const int64_t width = vectors(units), in_width = vectors(inputs);
    const layer_arrays layer = arrays_of(net, l);
    const vec *before = at->activations[l - 1];
    transpose(me, (real *)layer.w, inputs, units, at->transposed);
    product(share(me, tiles(n, in_width), 1), deltas_before, n, in_width, (real *)delta, width * LANES, 1,
            at->transposed, units, DELTAS, before);
    const range mine = share(me, inputs, 4);
    const int64_t rows = mine.to - mine.from;
    vec *gradient = at->gradient + mine.from * width;
    product((range){0, tiles(rows, width)}, gradient, rows, width, (real *)before + mine.from, 1, in_width * LANES,
            delta, n, PLAIN, 0);
    update_at(rule, layer, mine.from * width, gradient, rows * width);
    meet(me);
}

/* What `train` is asked for, and how many losses were written. */
typedef struct {
    const network *net;
    const batches *in;
    const int64_t *batch_start;
    int64_t steps, step0;
    const double *rates;
    double *losses;
    int64_t *right, made;
} training;

static void train_together(const thread *me, void *job) {
    training *of = job;
    const network *net = of->net;
    const batches *in = of->in;
    const int64_t L = net->layers, classes = net->sizes[L];
    for (int64_t s = 0; s < of->steps; s++) {
        const int64_t from = of->batch_start[s], n = of->batch_start[s + 1] - from;
        const layout at = scratch_layout(net, n);
        const vec *delta = at.activations[L - 1];
        forward(me, net, in, from, n, &at);
        output_deltas(me, at.activations[L - 1], classes, in->label + from, n, at.verdicts);
        const double loss = loss_sum(at.verdicts, n) / n; /* each thread sums, and knows whether to go on */
        if (me->index == 0) {
            of->losses[s] = loss;
            of->made = s + 1;
            of->right[s] = 0;
            for (int64_t b = 0; b < n; b++) of->right[s] += at.verdicts[b].is_right != 0;
        }
        if (!isfinite(loss)) return;
        const double step = of->step0 + s + 1;
        const update_rule rule = {.kind = net->optimiser, .first = step == 1, .rate = of->rates[s],
            .decay = net->weight_decay, .beta1 = net->beta1, .beta2 = net->beta2, .epsilon = net->epsilon,
            .correction1 = 1 - pow(net->beta1, step), .correction2 = sqrt(1 - pow(net->beta2, step))};
        for (int64_t l = L - 1; l >= 0; l--) {
            bias_update(me, net, l, n, &rule, delta, at.base);
            if (l == 0) first_layer_update(me, net, in, s, &rule, delta, &at);
            else {
                later_layer_update(me, net, l, n, &rule, delta, at.deltas[l % 2], &at);
                delta = at.deltas[l % 2];
            }
        }
    }
}

/* Train on the given batches: batch s holds the examples from batch_start[s] on; step0 steps were made
   before. Returns how many losses were written: fewer than steps when the last of them is not finite, and
   then its update was not made. */
int64_t train(team *all, const network *net, const batches *in, const int64_t *batch_start, int64_t steps,
              int64_t step0, const double *rates, double *losses, int64_t *right) {
    training job = {net, in, batch_start, steps, step0, rates, losses, right, 0};
    together(all, train_together, &job);
    return job.made;
}

/* What `evaluate` is asked for. */
typedef struct {
    const network *net;
    const batches *in;
    int64_t n;
    uint8_t *predicted;
    double *peaks;
} evaluation;

static void evaluate_together(const thread *me, void *job) {
    const evaluation *of = job;
    const network *net = of->net;
    const int64_t L = net->layers, width = vectors(net->sizes[L]);
    const layout at = scratch_layout(net, of->n);
    forward(me, net, of->in, 0, of->n, &at);
    const range mine = share(me, of->n, 1);
    double peaks[MAX_LAYERS] = {0};
    for (int64_t l = 0; l + 1 < L; l++) {
        const int64_t row = vectors(net->sizes[l + 1]) * LANES;
        const real *a = (real *)at.activations[l];
        for (int64_t k = mine.from * row; k < mine.to * row; k++) peaks[l] = a[k] > peaks[l] ? a[k] : peaks[l];
    }
    for (int64_t b = mine.from; b < mine.to; b++) {
        real sum, *z = (real *)(at.activations[L - 1] + b * width);
        int64_t likeliest;
        at.verdicts[b].loss = cross_entropy(z, net->sizes[L], of->in->label[b], &sum, &likeliest);
        of->predicted[b] = (uint8_t)likeliest;
    }
    pthread_mutex_lock(&me->team->lock);
    for (int64_t l = 0; l + 1 < L; l++) of->peaks[l] = peaks[l] > of->peaks[l] ? peaks[l] : of->peaks[l];
    pthread_mutex_unlock(&me->team->lock);
}

/* Evaluate on n examples: the sum of losses, the likeliest class of each, and the peak of each hidden layer
   (the larger of it and what stands there). */
double evaluate(team *all, const network *net, const batches *in, int64_t n, uint8_t *predicted, double *peaks) {
    evaluation job = {net, in, n, predicted, peaks};
    together(all, evaluate_together, &job);
    return loss_sum(scratch_layout(net, n).verdicts, n);
}
