/* Training steps of one multilayer perceptron on images that are mostly black: the hot loop of the lockstep
   engine, compiled when it is first needed (compiler.py does that, compiled.py calls it).

   Sums run along examples, pixels or units in an order that the network's shape and the batch alone decide;
   the lanes of a vector are units, each with its own sum. So a network's bits cannot depend on what trains
   beside it. Black pixels are left out: exact in the mathematics, for they add 0; where black is not the
   input 0 (scaling other than `unit`), its share is the same for every pixel and is added at once.

   Layout: weights [inputs, width], biases [width], where width is the number of units rounded up to whole
   vectors; what fills up is 0 and never read as a unit. Activations and deltas are [example, width].

   Equations (Goodfellow, Bengio, Courville 2016, algorithms 6.3 and 6.4; softmax and cross-entropy: section
   6.2.2.3), for one batch of B examples:
       z_l = a_{l-1} W_l + b_l,   a_l = max(z_l, 0),   a_0 = x
       loss = mean(log(sum(exp(z_L))) - z_L[label])
       d_L = (softmax(z_L) - onehot(label)) / B,   d_{l-1} = (d_l W_l^T) * (a_{l-1} > 0)
       grad W_l = a_{l-1}^T d_l,   grad b_l = sum(d_l)                                              */

#include <math.h>
#include <stdint.h>
#include <string.h>

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

/* Batches as lists of what is not black: by example for the way forward, by pixel for the way back. */
typedef struct {
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

static void sparse_row(vec *restrict sum, int64_t width, const vec *restrict rows, const int32_t *restrict index,
                       const real *restrict weight, int64_t n) {
    for (int64_t t = 0; t < width;) {
        const int64_t left = width - t;
        switch (left <= MOST_SUMS ? left : left < 24 ? (left + 1) / 2 : 12) {
#define CASE(T, C) case T: weighted_sum(T, C, sum + t, rows + t, width, index, weight, n); t += T; break;
        CASE(1, 8) CASE(2, 4) CASE(3, 4) CASE(4, 2) CASE(5, 2) CASE(6, 2) CASE(7, 1) CASE(8, 1) CASE(9, 1)
        CASE(10, 1) CASE(11, 1) CASE(12, 1) CASE(13, 1)
#undef CASE
        }
    }
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

static void product(vec *restrict out, int64_t rows, int64_t width, const real *restrict a, int64_t a_row,
                    int64_t a_column, const vec *restrict b, int64_t n) {
    for (int64_t t = 0; t < width;) {
        const int64_t left = width - t, tile = left == 4 ? 2 : left < 3 ? left : 3;
        int64_t r = 0;
        for (; r + 4 <= rows; r += 4) {
            const real *first = a + r * a_row;
            if (tile == 3) product_tile(4, 3, out + r * width + t, width, first, a_row, a_column, b + t, n);
            else if (tile == 2) product_tile(4, 2, out + r * width + t, width, first, a_row, a_column, b + t, n);
            else product_tile(4, 1, out + r * width + t, width, first, a_row, a_column, b + t, n);
        }
        for (; r < rows; r++) {
            const real *first = a + r * a_row;
            if (tile == 3) product_tile(1, 3, out + r * width + t, width, first, a_row, a_column, b + t, n);
            else if (tile == 2) product_tile(1, 2, out + r * width + t, width, first, a_row, a_column, b + t, n);
            else product_tile(1, 1, out + r * width + t, width, first, a_row, a_column, b + t, n);
        }
        t += tile;
    }
}

INLINE vec relu(vec z) { return (vec)((mask)z & ~(z < (vec){0})); } /* keeps what is not a number */

/* ---- Updates ---- */

typedef struct { real rate, decay, beta1, beta2, epsilon, correction1, correction2; int64_t kind, first; } rule;

INLINE vec root(vec x) {
    vec y;
    UNROLL for (int64_t i = 0; i < LANES; i++) y[i] = sizeof(real) == 4 ? (real)sqrtf((float)x[i]) : (real)sqrt((double)x[i]);
    return y;
}

static void update(const rule *by, vec *restrict w, vec *restrict m, vec *restrict v, const vec *restrict g, int64_t n) {
    const real rate = by->rate, decay = by->decay, b1 = by->beta1, b2 = by->beta2;
    if (by->kind == SGD) {
        if (decay == 0) for (int64_t t = 0; t < n; t++) w[t] -= rate * g[t];
        else for (int64_t t = 0; t < n; t++) w[t] -= rate * (g[t] + decay * w[t]);
    } else if (by->kind <= NESTEROV) {
        for (int64_t t = 0; t < n; t++) {
            const vec slope = g[t] + decay * w[t];
            const vec velocity = by->first ? slope : b1 * m[t] + slope;
            m[t] = velocity;
            w[t] -= rate * (by->kind == MOMENTUM ? velocity : slope + b1 * velocity);
        }
    } else {
        const real shrink = by->kind == ADAMW ? 1 - rate * decay : 1, coupled = by->kind == ADAM ? decay : 0;
        const real pace = rate / by->correction1;
        for (int64_t t = 0; t < n; t++) {
            const vec old = w[t] * shrink, slope = g[t] + coupled * old;
            m[t] += (1 - b1) * (slope - m[t]);
            v[t] = b2 * v[t] + (1 - b2) * slope * slope;
            w[t] = old - pace * m[t] / (root(v[t]) / by->correction2 + by->epsilon);
        }
    }
}

/* ---- Packing ---- */

/* What is not black in n images; returns how many pixels that is. The lists need 8 places beyond. */
int64_t pack(const uint8_t *restrict images, const int64_t *restrict positions, int64_t n,
          const real *restrict table, int64_t *restrict start, int32_t *restrict pixel, real *restrict value) {
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *image = images + positions[i] * PIXELS;
        start[i] = k;
        for (int p = 0; p < PIXELS; p += 8) {
            uint64_t eight;
            memcpy(&eight, image + p, 8);
            if (eight == 0) continue;
            for (int q = 0; q < 8; q++) {  /* branchless: written always, kept when not black */
                pixel[k] = p + q;
                value[k] = table[image[p + q]];
                k += image[p + q] != 0;
            }
        }
    }
    start[n] = k;
    return k;
}

/* The same lists by pixel, batch by batch; within a pixel the examples come in their order. */
void pack_pixels(const int64_t *restrict batch_start, int64_t count, const int64_t *restrict example_start,
                 const int32_t *restrict pixel, const real *restrict value, int64_t *restrict pixel_start,
                 int32_t *restrict example, real *restrict pixel_value) {
    for (int64_t s = 0; s < count; s++, pixel_start += PIXELS + 1) {
        const int64_t first = batch_start[s], last = batch_start[s + 1];
        int64_t next[PIXELS + 1] = {0};
        for (int64_t k = example_start[first]; k < example_start[last]; k++) next[pixel[k] + 1]++;
        int64_t sum = example_start[first];
        for (int p = 0; p <= PIXELS; p++) pixel_start[p] = next[p] = sum += next[p];
        for (int64_t b = first; b < last; b++)
            for (int64_t k = example_start[b]; k < example_start[b + 1]; k++) {
                const int64_t to = next[pixel[k]]++;
                example[to] = (int32_t)(b - first);
                pixel_value[to] = value[k];
            }
    }
}

/* ---- Passes ---- */

/* Scratch begins with two rows that are as wide as the widest layer. */
#define ROWS 2

INLINE int64_t widest(const network *net) {
    int64_t most = 0;
    for (int64_t l = 0; l < net->layers; l++) {
        const int64_t width = vectors(net->sizes[l + 1]);
        most = width > most ? width : most;
    }
    return most;
}

INLINE vec *row_of_scratch(const network *net, int64_t row) { return (vec *)net->scratch + row * widest(net); }

INLINE int64_t layer_numbers(const network *net, int64_t l) { return (net->sizes[l] + 1) * vectors(net->sizes[l + 1]); }

/* z of the first layer, or its activations, from the lists of n examples. */
static void first_layer(const network *net, const batches *in, int64_t from, int64_t n, vec *restrict out) {
    const int64_t width = vectors(net->sizes[1]);
    const vec *weights = (vec *)net->parameters, *bias = weights + PIXELS * width;
    vec *restrict base = row_of_scratch(net, 0);
    for (int64_t t = 0; t < width; t++) base[t] = bias[t];
    if (in->black != 0)
        for (int64_t p = 0; p < PIXELS; p++)
            for (int64_t t = 0; t < width; t++) base[t] += (real)in->black * weights[p * width + t];
    for (int64_t b = 0; b < n; b++) {
        const int64_t start = in->example_start[from + b], end = in->example_start[from + b + 1];
        vec *row = out + b * width;
        sparse_row(row, width, weights, in->pixel + start, in->value + start, end - start);
        if (net->layers > 1) for (int64_t t = 0; t < width; t++) row[t] = relu(row[t] + base[t]);
        else for (int64_t t = 0; t < width; t++) row[t] += base[t];
    }
}

/* Activations of all layers for n examples; the last are logits. */
static void forward(const network *net, const batches *in, int64_t from, int64_t n, vec **activations) {
    first_layer(net, in, from, n, activations[0]);
    const vec *weights = (vec *)net->parameters + layer_numbers(net, 0);
    for (int64_t l = 1; l < net->layers; l++) {
        const int64_t inputs = net->sizes[l], width = vectors(net->sizes[l + 1]);
        const vec *bias = weights + inputs * width;
        vec *out = activations[l];
        product(out, n, width, (real *)activations[l - 1], vectors(inputs) * LANES, 1, weights, inputs);
        for (int64_t b = 0; b < n; b++)
            for (int64_t t = 0; t < width; t++) {
                const vec z = out[b * width + t] + bias[t];
                out[b * width + t] = l + 1 < net->layers ? relu(z) : z;
            }
        weights += layer_numbers(net, l);
    }
}

/* Cross-entropy of one example. The logits become exp(z - max), of which *sum is the sum. */
static real cross_entropy(real *z, int64_t classes, int64_t label, real *sum, int64_t *likeliest) {
    real top = z[0], total = 0;
    *likeliest = 0;
    for (int64_t c = 1; c < classes; c++)
        if (z[c] > top || z[c] != z[c]) top = z[*likeliest = c]; /* what is not a number stays */
    const real short_of = top - z[label];
    for (int64_t c = 0; c < classes; c++) {
        z[c] = sizeof(real) == 4 ? (real)expf((float)(z[c] - top)) : (real)exp((double)(z[c] - top));
        total += z[c];
    }
    *sum = total;
    return short_of + (sizeof(real) == 4 ? (real)logf((float)total) : (real)log((double)total));
}

/* Where the activations of n examples lie in scratch, layer after layer; returns their end. */
static vec *places(const network *net, int64_t n, vec **activations) {
    vec *at = row_of_scratch(net, ROWS);
    for (int64_t l = 0; l < net->layers; l++) {
        activations[l] = at;
        at += n * vectors(net->sizes[l + 1]);
    }
    return at;
}

/* Numbers of scratch that batches of n examples need. */
int64_t scratch_numbers(const network *net, int64_t n) {
    int64_t activations = 0, backward = 0;
    for (int64_t l = 0; l < net->layers; l++) {
        const int64_t inputs = net->sizes[l], in_width = vectors(inputs), units = net->sizes[l + 1];
        activations += n * vectors(units);
        const int64_t here = l ? units * in_width + n * in_width + inputs * vectors(units) : 0;
        backward = here > backward ? here : backward;
    }
    return (ROWS * widest(net) + activations + backward) * LANES;
}

/* Logits become deltas; returns the mean loss, and counts the examples that are classified rightly. */
static double output_deltas(vec *logits, int64_t classes, const uint8_t *labels, int64_t n, int64_t *right) {
    const int64_t width = vectors(classes);
    double loss = 0;
    *right = 0;
    for (int64_t b = 0; b < n; b++) {
        real *z = (real *)(logits + b * width), sum;
        int64_t likeliest;
        loss += cross_entropy(z, classes, labels[b], &sum, &likeliest);
        *right += likeliest == labels[b];
        for (int64_t c = classes; c < width * LANES; c++) z[c] = 0;
        const real share = 1 / (sum * n);
        for (int64_t t = 0; t < width; t++) logits[b * width + t] *= share;
        z[labels[b]] -= (real)1 / n;
    }
    return loss / n;
}

/* Weights and their moments, of one layer. */
typedef struct { vec *w, *m, *v; } place;

static place layer_place(const network *net, int64_t layer) {
    int64_t at = 0;
    for (int64_t l = 0; l < layer; l++) at += layer_numbers(net, l);
    vec *m = (vec *)net->first_moment, *v = (vec *)net->second_moment;
    return (place){(vec *)net->parameters + at, m ? m + at : 0, v ? v + at : 0};
}

static void update_at(const rule *by, place p, int64_t at, const vec *gradient, int64_t n) {
    update(by, p.w + at, p.m ? p.m + at : 0, p.v ? p.v + at : 0, gradient, n);
}

/* Gradient and update of the first layer's weights, from the lists by pixel. */
static void first_layer_update(const network *net, const batches *in, int64_t batch, const rule *by,
                               const vec *delta, const vec *delta_sum) {
    const int64_t width = vectors(net->sizes[1]);
    const place first = layer_place(net, 0);
    const int64_t *start = in->pixel_start + batch * (PIXELS + 1);
    const real black = in->black;
    vec *restrict gradient = row_of_scratch(net, 1);
    for (int64_t p = 0; p < PIXELS; p++) {
        const int64_t k = start[p], count = start[p + 1] - k;
        if (count == 0 && black == 0 && by->kind == SGD && by->decay == 0) continue; /* nothing moves */
        sparse_row(gradient, width, delta, in->example + k, in->pixel_value + k, count);
        if (black != 0)
            for (int64_t t = 0; t < width; t++) gradient[t] += black * delta_sum[t];
        update_at(by, first, p * width, gradient, width);
    }
}

/* The deltas of the layer before, with the weights as they were; then gradient and update of a later layer's
   weights. The activations of the layer before become its deltas. */
static void later_layer_update(const network *net, int64_t l, int64_t n, const rule *by, const vec *delta,
                               vec *before, vec *scratch) {
    const int64_t inputs = net->sizes[l], units = net->sizes[l + 1];
    const int64_t width = vectors(units), in_width = vectors(inputs);
    const place here = layer_place(net, l);
    vec *turned = scratch, *deltas = turned + units * in_width, *gradient = deltas + n * in_width;
    const real *plain = (real *)here.w;
    for (int64_t i = 0; i < in_width * LANES; i += LANES)
        for (int64_t j = 0; j < units; j++) {
            real *to = (real *)turned + j * in_width * LANES + i;
            const real *from = plain + i * width * LANES + j;
            if (i + LANES <= inputs) UNROLL for (int64_t k = 0; k < LANES; k++) to[k] = from[k * width * LANES];
            else for (int64_t k = 0; k < LANES; k++) to[k] = i + k < inputs ? from[k * width * LANES] : 0;
        }
    product(deltas, n, in_width, (real *)delta, width * LANES, 1, turned, units);
    product(gradient, inputs, width, (real *)before, 1, in_width * LANES, delta, n);
    update_at(by, here, 0, gradient, inputs * width);
    for (int64_t t = 0; t < n * in_width; t++) before[t] = (vec)((mask)deltas[t] & (before[t] > (vec){0}));
}

/* Train on the given batches: batch s holds the examples from batch_start[s] on; step0 steps were made
   before. Returns how many losses were written: fewer than steps when the last of them is not finite, and
   then its update was not made. */
int64_t train(const network *net, const batches *in, const int64_t *batch_start, int64_t steps, int64_t step0,
              const double *rates, double *losses, int64_t *right) {
    for (int64_t s = 0; s < steps; s++) {
        const int64_t from = batch_start[s], n = batch_start[s + 1] - from;
        vec *activations[MAX_LAYERS], *end = places(net, n, activations), *delta = activations[net->layers - 1];
        forward(net, in, from, n, activations);
        losses[s] = output_deltas(delta, net->sizes[net->layers], in->label + from, n, right + s);
        if (!isfinite(losses[s])) return s + 1;
        const double step = step0 + s + 1;
        const rule by = {.kind = net->optimiser, .first = step == 1, .rate = rates[s],
            .decay = net->weight_decay, .beta1 = net->beta1, .beta2 = net->beta2, .epsilon = net->epsilon,
            .correction1 = 1 - pow(net->beta1, step), .correction2 = sqrt(1 - pow(net->beta2, step))};
        for (int64_t l = net->layers - 1; l >= 0; l--) {
            const int64_t width = vectors(net->sizes[l + 1]);
            vec *restrict sum = row_of_scratch(net, 0);
            for (int64_t t = 0; t < width; t++) sum[t] = (vec){0};
            for (int64_t b = 0; b < n; b++)
                for (int64_t t = 0; t < width; t++) sum[t] += delta[b * width + t];
            if (l == 0) first_layer_update(net, in, s, &by, delta, sum);
            else later_layer_update(net, l, n, &by, delta, activations[l - 1], end);
            update_at(&by, layer_place(net, l), net->sizes[l] * width, sum, width); /* the biases */
            if (l > 0) delta = activations[l - 1];
        }
    }
    return steps;
}

/* Evaluate on n examples: the sum of losses, the likeliest class of each, and the peak of each hidden layer
   (added to what stands there). */
double evaluate(const network *net, const batches *in, int64_t n, uint8_t *predicted, double *peaks) {
    const int64_t L = net->layers, width = vectors(net->sizes[L]);
    vec *activations[MAX_LAYERS];
    places(net, n, activations);
    forward(net, in, 0, n, activations);
    for (int64_t l = 0; l + 1 < L; l++) {
        const real *a = (real *)activations[l];
        for (int64_t k = 0; k < n * vectors(net->sizes[l + 1]) * LANES; k++) peaks[l] = a[k] > peaks[l] ? a[k] : peaks[l];
    }
    double loss = 0;
    for (int64_t b = 0; b < n; b++) {
        real sum;
        int64_t likeliest;
        loss += cross_entropy((real *)(activations[L - 1] + b * width), net->sizes[L], in->label[b], &sum, &likeliest);
        predicted[b] = (uint8_t)likeliest;
    }
    return loss;
}
