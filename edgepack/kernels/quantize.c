/* Rows of weights become ggml's blocks, bit for bit as the pinned ggml makes them on x86-64: many blocks side by side,
 * one a lane. docs/kernels.md says why the bits are the same. It may be called from any thread, and keeps nothing. */

#include "simple.h"

/* ggml's numbers of its types. */
enum {
    Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8,
    Q2_K = 10, Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, IQ4_NL = 20, IQ4_XS = 23
};

typedef void quantizer(const struct job *job);

static void q8_0(const struct job *job) { quantize_8(job); }
static void q4_0(const struct job *job) { quantize_centred(job, 15, 0); }
static void q4_0_weighed(const struct job *job) { quantize_centred(job, 15, 1); }
static void q5_0(const struct job *job) { quantize_centred(job, 31, 0); }
static void q5_0_weighed(const struct job *job) { quantize_centred(job, 31, 1); }
static void q4_1(const struct job *job) { quantize_ranged(job, 15, 0); }
static void q4_1_weighed(const struct job *job) { quantize_ranged(job, 15, 1); }
static void q5_1(const struct job *job) { quantize_ranged(job, 31, 0); }
static void q5_1_weighed(const struct job *job) { quantize_ranged(job, 31, 1); }
static void q2_k(const struct job *job) { quantize_2(job, 0); }
static void q2_k_weighed(const struct job *job) { quantize_2(job, 1); }
static void q3_k(const struct job *job) { quantize_3(job, 0); }
static void q3_k_weighed(const struct job *job) { quantize_3(job, 1); }
static void q4_k(const struct job *job) { quantize_4_5(job, 15, 0); }
static void q4_k_weighed(const struct job *job) { quantize_4_5(job, 15, 1); }
static void q5_k(const struct job *job) { quantize_4_5(job, 31, 0); }
static void q5_k_weighed(const struct job *job) { quantize_4_5(job, 31, 1); }
static void q6_k(const struct job *job) { quantize_6(job, 0); }
static void q6_k_weighed(const struct job *job) { quantize_6(job, 1); }
static void iq4_nl(const struct job *job) { quantize_nonlinear(job, 0); }
static void iq4_nl_weighed(const struct job *job) { quantize_nonlinear(job, 1); }
static void iq4_xs(const struct job *job) { quantize_nonlinear_super(job, 0); }
static void iq4_xs_weighed(const struct job *job) { quantize_nonlinear_super(job, 1); }

struct type {
    int number, weights, bytes; /* of a block */
    quantizer *plain, *weighed;
    int asks_row_mean;
};

static const struct type TYPES[] = {
    {Q4_0, 32, 18, q4_0, q4_0_weighed, 1},      {Q4_1, 32, 20, q4_1, q4_1_weighed, 1},
    {Q5_0, 32, 22, q5_0, q5_0_weighed, 1},      {Q5_1, 32, 24, q5_1, q5_1_weighed, 1},
    {Q8_0, 32, 34, q8_0, q8_0, 0},              {Q2_K, 256, 84, q2_k, q2_k_weighed, 0},
    {Q3_K, 256, 110, q3_k, q3_k_weighed, 0},    {Q4_K, 256, 144, q4_k, q4_k_weighed, 0},
    {Q5_K, 256, 176, q5_k, q5_k_weighed, 0},    {Q6_K, 256, 210, q6_k, q6_k_weighed, 0},
    {IQ4_NL, 32, 18, iq4_nl, iq4_nl_weighed, 0}, {IQ4_XS, 256, 136, iq4_xs, iq4_xs_weighed, 0},
};

/* Blocks as they follow each other, over the ends of rows. */
static void quantize_plain(const struct type *type, const struct source *source, uint8_t *target, int64_t blocks,
                           ints *wild) {
    floats x[256];
    int64_t a_row = source->columns / type->weights;
    for (int64_t first = 0; first < blocks; first += LANES) {
        int lanes = blocks - first < LANES ? (int)(blocks - first) : LANES;
        const uint8_t *from[LANES];
        /* Lanes without a block of their own go through the last one's, and are not written. */
        EACH_LANE {
            int64_t block = first + (lane < lanes ? lane : lanes - 1);
            from[lane] = weights_at(source, block / a_row, block % a_row * type->weights);
        }
        gather(x, from, type->weights, source->as, wild);
        struct job job = {x, NULL, all(0.f), {target + first * type->bytes, type->bytes, lanes}};
        type->plain(&job);
    }
}

static floats mean_squares(const struct source *source, const uint8_t *const *rows, ints *wild) {
    floats sum = all(0.f), x[32];
    for (int64_t at = 0; at < source->columns; at += 32) {
        const uint8_t *from[LANES];
        EACH_LANE from[lane] = rows[lane] + at * stored_bytes(source->as);
        gather(x, from, 32, source->as, wild);
        for (int i = 0; i < 32; ++i) sum += x[i] * x[i];
    }
    return sum / (float)source->columns;
}

/* Rows side by side: what stands in one column has one importance. */
static void quantize_weighed(const struct type *type, const struct source *source, uint8_t *target, int64_t rows,
                             const float *importance, ints *wild) {
    floats x[256];
    int64_t row_bytes = source->columns / type->weights * type->bytes;
    for (int64_t first = 0; first < rows; first += LANES) {
        int lanes = rows - first < LANES ? (int)(rows - first) : LANES;
        const uint8_t *row[LANES];
        EACH_LANE row[lane] = weights_at(source, first + (lane < lanes ? lane : lanes - 1), 0);
        floats mean = type->asks_row_mean ? mean_squares(source, row, wild) : all(0.f);
        uint8_t *to = target + first * row_bytes;
        for (int64_t at = 0; at < source->columns; at += type->weights, to += type->bytes) {
            const uint8_t *from[LANES];
            EACH_LANE from[lane] = row[lane] + at * stored_bytes(source->as);
            gather(x, from, type->weights, source->as, wild);
            struct job job = {x, importance + at, mean, {to, row_bytes, lanes}};
            type->weighed(&job);
        }
    }
}

/* Rows of weights, each a whole number of blocks, to `target`; `struct source` says what they are stored as, and in
 * which order they are taken. `importance` has a weight a column, or is NULL. Returns the bytes written, 0 for a type
 * that is not made here, and -1 where a weight is infinite or no number. */
int64_t edgepack_quantize(int type, int stored, const void *weights, const int64_t *order, void *target, int64_t rows,
                          int64_t columns, const float *importance) {
    struct source source = {weights, (enum stored)stored, columns, order};
    ints wild = all_int(0);
    for (unsigned i = 0; i < sizeof TYPES / sizeof *TYPES; ++i) {
        const struct type *found = TYPES + i;
        if (found->number != type || columns % found->weights) continue;
        if (importance) quantize_weighed(found, &source, target, rows, importance, &wild);
        else quantize_plain(found, &source, target, rows * (columns / found->weights), &wild);
        EACH_LANE if (wild[lane] >= 0x7f800000) return -1;
        return rows * (columns / found->weights) * found->bytes;
    }
    return 0;
}
