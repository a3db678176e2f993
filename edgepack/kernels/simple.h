/* Blocks of 32 weights that stand alone: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and IQ4_NL, with a block in each lane. */
#ifndef EDGEPACK_SIMPLE_H
#define EDGEPACK_SIMPLE_H

#include "super.h"

/* (int8_t)x, as x86-64's scalar and packed conversions have it: what no int holds becomes 0 in the last byte. */
INLINE ints as_bytes(floats x) {
    mask fits = below(magnitude(x), all(0x1p31f));
    return __builtin_convertvector(choose(fits, x, all(0.f)), ints) << 24 >> 24;
}

/* roundf: halves away from zero. The float below 0.5 makes no whole number of what is just below a half. */
INLINE floats away_from_half(floats x) {
    ints sign = (ints)x & (int32_t)0x80000000;
    return x + (floats)(sign | (ints)all(0x1.fffffep-2f));
}

/* Levels of 4 or 5 bits behind `head` words of the block. */
INLINE void put_levels(words *data, int head, const ints *levels, int top) {
    for (int i = 0; i < 32; ++i) {
        ints byte = levels[i] & (top == 15 && i < 16 ? 0xff : 15);
        put(data, 4 * head + (top == 31 ? 4 : 0) + i % 16, i < 16 ? 0 : 4, byte);
        if (top == 31) data[head] |= (words)(levels[i] >> 4 & 1) << i;
    }
}

/* ---- Q4_0, Q5_0: a scale ---- */

INLINE void quantize_centred(const struct job *job, int top, int weighed) {
    int half = (top + 1) / 2;
    floats d, weights[32];
    ints levels[32];
    if (weighed) {
        weigh(weights, job->importance, job->x, job->row_mean, 32);
        struct scale found = find_scale(job->x, weights, 32, half);
        d = found.value;
        for (int i = 0; i < 32; ++i) levels[i] = scale_level(found, job->x[i], half);
    } else {
        d = extreme_of(job->x, 32).value / (float)-half;
        floats inverse = choose(equal(d, all(0.f)), all(0.f), 1.f / d);
        for (int i = 0; i < 32; ++i) {
            levels[i] = smaller_int(as_bytes(job->x[i] * inverse + ((float)half + 0.5f)), all_int(top)) & 0xff;
        }
    }
    words data[5];
    memset(data, 0, sizeof data);
    put_levels(data, 0, levels, top);
    scatter_half(job->to, 0, to_half(d));
    scatter(job->to, 2, data, top == 15 ? 4 : 5);
}

/* ---- Q4_1, Q5_1: a scale and a minimum ---- */

INLINE void quantize_ranged(const struct job *job, int top, int weighed) {
    floats d, minimum, weights[32];
    ints levels[32];
    if (weighed) {
        struct tries fine = {32, top, -0.9f, 0.05f, 36, 0};
        weigh(weights, job->importance, job->x, job->row_mean, 32);
        struct range found = find_range(job->x, weights, fine);
        d = found.scale;
        minimum = -found.minimum;
        for (int i = 0; i < 32; ++i) levels[i] = range_level(found, job->x[i], top);
    } else {
        floats largest = all(-__FLT_MAX__);
        minimum = all(__FLT_MAX__);
        for (int i = 0; i < 32; ++i) {
            minimum = smaller(job->x[i], minimum);
            largest = larger(job->x[i], largest);
        }
        d = (largest - minimum) / (float)top;
        floats inverse = choose(equal(d, all(0.f)), all(0.f), 1.f / d);
        for (int i = 0; i < 32; ++i) {
            ints byte = as_bytes((job->x[i] - minimum) * inverse + 0.5f);
            levels[i] = (top == 15 ? smaller_int(byte, all_int(15)) : byte) & 0xff;
        }
    }
    words data[6];
    memset(data, 0, sizeof data);
    data[0] = (words)(to_half(d) | to_half(minimum) << 16);
    put_levels(data, 1, levels, top);
    scatter(job->to, 0, data, top == 15 ? 5 : 6);
}

/* ---- Q8_0 ---- */

INLINE void quantize_8(const struct job *job) {
    floats most = all(0.f);
    UNROLLED for (int i = 0; i < 32; ++i) most = larger(most, magnitude(job->x[i]));
    floats d = most / 127.f;
    floats inverse = choose(equal(d, all(0.f)), all(0.f), 1.f / d);
    words data[8];
    memset(data, 0, sizeof data);
    UNROLLED for (int i = 0; i < 32; ++i) put(data, i, 0, as_bytes(away_from_half(job->x[i] * inverse)) & 0xff);
    scatter_half(job->to, 0, to_half(d));
    scatter(job->to, 2, data, 8);
}

/* ---- IQ4_NL: a scale, levels that are not evenly spaced ---- */

INLINE void quantize_nonlinear(const struct job *job, int weighed) {
    struct table table = table_of();
    floats weights[32];
    floats mean = sum_of_squares(job->x, 32) * (2.f / 32.f);
    if (weighed) weigh(weights, job->importance, job->x, mean, 32);
    for (int i = 0; i < 32 && !weighed; ++i) weights[i] = job->x[i] * job->x[i];
    floats scale = find_nonlinear_scale(&table, job->x, weights);
    floats inverse = choose(equal(scale, all(0.f)), all(0.f), 1.f / scale);
    words data[4];
    memset(data, 0, sizeof data);
    for (int i = 0; i < 32; ++i) {
        put(data, i % 16, i < 16 ? 0 : 4, nonlinear_index(&table, inverse * job->x[i]));
    }
    scatter_half(job->to, 0, to_half(scale));
    scatter(job->to, 2, data, 4);
}

#endif
