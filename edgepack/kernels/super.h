/* Super-blocks of 256 weights: Q2_K to Q6_K and IQ4_XS. Each function is the reference's for its type: `_ref`, or
 * `_impl` where columns have importances (`weighed`), with a super-block in each lane. */
#ifndef EDGEPACK_SUPER_H
#define EDGEPACK_SUPER_H

#include "memory.h"
#include "nonlinear.h"
#include "range.h"

/* LANES blocks to quantize. */
struct job {
    const floats *x;
    const float *importance; /* of the blocks' columns, the same for all lanes */
    floats row_mean;         /* the mean square of each lane's row, where a type asks for it */
    struct place to;
};

INLINE floats sum_of_squares(const floats *x, int count) {
    floats sum = all(0.f);
    for (int i = 0; i < count; ++i) sum += x[i] * x[i];
    return sum;
}

INLINE floats sum_of(const floats *x, int count) {
    floats sum = all(0.f);
    for (int i = 0; i < count; ++i) sum += x[i];
    return sum;
}

INLINE floats largest_of(const floats *x, int count) {
    floats found = all(0.f);
    for (int i = 0; i < count; ++i) found = choose(below(found, x[i]), x[i], found);
    return found;
}

/* The importance of a column, and of weights that are large for their place. */
INLINE void weigh(floats *weights, const float *importance, const floats *x, floats mean, int count) {
    for (int i = 0; i < count; ++i) weights[i] = importance[i] * root(mean + x[i] * x[i]);
}

/* ---- Q4_K, Q5_K: 8 blocks of 32; scales and minima of 6 bits ---- */

/* The twelve bytes that hold eight scales and eight minima; then what reading them gives. */
INLINE void pack_scales(ints *bytes, const ints *scale, const ints *minimum) {
    for (int j = 0; j < 4; ++j) {
        bytes[j] = (scale[j] | scale[j + 4] >> 4 << 6) & 0xff;
        bytes[j + 4] = (minimum[j] | minimum[j + 4] >> 4 << 6) & 0xff;
        bytes[j + 8] = (scale[j + 4] & 15) | (minimum[j + 4] & 15) << 4;
    }
}

INLINE void unpack_scales(const ints *bytes, int j, floats *scale, floats *minimum) {
    *scale = as_floats(j < 4 ? bytes[j] & 63 : (bytes[j + 4] & 15) | bytes[j - 4] >> 6 << 4);
    *minimum = as_floats(j < 4 ? bytes[j + 4] & 63 : bytes[j + 4] >> 4 | bytes[j] >> 6 << 4);
}

INLINE void quantize_4_5(const struct job *job, int top, int weighed) {
    struct range found[8];
    floats scales[8], minima[8], sums[8], weights[32];
    ints scale[8], minimum[8], bytes[12], d, dmin;
    struct tries plain = {32, top, top == 15 ? -1.f : -0.5f, 0.1f, top == 15 ? 20 : 15, 0};
    struct tries fine = {32, top, -0.9f, 0.05f, 36, 0};
    floats mean = weighed ? 2.f * sum_of_squares(job->x, 256) / 256.f : all(0.f);
    for (int j = 0; j < 8; ++j) {
        const floats *x = job->x + 32 * j;
        if (weighed) {
            weigh(weights, job->importance + 32 * j, x, mean, 32);
            sums[j] = sum_of(weights, 32);
        } else {
            floats usual = root(sum_of_squares(x, 32) / 32.f);
            for (int i = 0; i < 32; ++i) weights[i] = usual + magnitude(x[i]);
        }
        found[j] = find_range(x, weights, weighed ? fine : plain);
        scales[j] = found[j].scale;
        minima[j] = found[j].minimum;
    }
    if (weighed) {
        d = to_half(find_positive_scale(scales, sums, 8, 63, scale));
        dmin = to_half(find_positive_scale(minima, sums, 8, 63, minimum));
    } else {
        floats widest = largest_of(scales, 8), lowest = largest_of(minima, 8);
        floats inverse = choose(below(all(0.f), widest), 63.f / widest, all(0.f));
        floats inverse_min = choose(below(all(0.f), lowest), 63.f / lowest, all(0.f));
        for (int j = 0; j < 8; ++j) {
            scale[j] = nearest(inverse * scales[j]) & 0xff;
            minimum[j] = nearest(inverse_min * minima[j]) & 0xff;
        }
        d = to_half(widest / 63.f);
        dmin = to_half(lowest / 63.f);
    }
    for (int j = 0; j < 8 && !(weighed && top == 15); ++j) {
        scale[j] = smaller_int(scale[j], all_int(63));
        minimum[j] = smaller_int(minimum[j], all_int(63));
    }

    words data[44];
    memset(data, 0, sizeof data);
    data[0] = (words)(d | dmin << 16);
    pack_scales(bytes, scale, minimum);
    for (int i = 0; i < 12; ++i) put(data, 4 + i, 0, bytes[i]);
    int quants = top == 15 ? 16 : 48;
    for (int j = 0; j < 8; ++j) {
        floats step, shift;
        unpack_scales(bytes, j, &step, &shift);
        step *= from_half(d);
        shift *= from_half(dmin);
        mask empty = equal(step, all(0.f));
        int some_empty = any(empty);
        for (int i = 0; i < 32; ++i) {
            floats x = job->x[32 * j + i];
            ints level = clamped(nearest((x + shift) / step), 0, top);
            if (some_empty) level = choose_int(empty, range_level(found[j], x, top), level);
            put(data, quants + 32 * (j / 2) + i, 4 * (j % 2), level & 15);
            if (top == 31) put(data, 16 + i, j, level >> 4);
        }
    }
    scatter(job->to, 0, data, top == 15 ? 36 : 44);
}

/* ---- Q2_K: 16 blocks of 16; scales and minima of 4 bits ---- */

INLINE void quantize_2(const struct job *job, int weighed) {
    struct range found[16];
    floats scales[16], minima[16], sums[16], weights[16];
    ints scale[16], minimum[16], d, dmin;
    struct tries plain = {16, 3, -0.5f, 0.1f, 15, 1}, fine = {16, 3, -0.9f, 0.05f, 36, 0};
    floats mean = weighed ? sum_of_squares(job->x, 256) / 256.f : all(0.f);
    for (int j = 0; j < 16; ++j) {
        const floats *x = job->x + 16 * j;
        if (weighed) {
            weigh(weights, job->importance + 16 * j, x, mean, 16);
            sums[j] = sum_of(weights, 16);
        } else {
            for (int i = 0; i < 16; ++i) weights[i] = magnitude(x[i]);
        }
        found[j] = find_range(x, weights, weighed ? fine : plain);
        scales[j] = found[j].scale;
        minima[j] = found[j].minimum;
    }
    if (weighed) {
        d = to_half(find_positive_scale(scales, sums, 16, 15, scale));
        dmin = to_half(find_positive_scale(minima, sums, 16, 15, minimum));
    } else {
        floats widest = largest_of(scales, 16), lowest = largest_of(minima, 16);
        mask some = below(all(0.f), widest), some_min = below(all(0.f), lowest);
        for (int j = 0; j < 16; ++j) {
            scale[j] = choose_int(some, nearest(15.f / widest * scales[j]) & 0xff, all_int(0));
            minimum[j] = choose_int(some_min, nearest(15.f / lowest * minima[j]), all_int(0));
        }
        d = to_half(choose(some, widest / 15.f, all(0.f)));
        dmin = to_half(choose(some_min, lowest / 15.f, all(0.f)));
    }

    words data[21];
    memset(data, 0, sizeof data);
    data[20] = (words)(d | dmin << 16);
    for (int j = 0; j < 16; ++j) {
        ints byte = (scale[j] | minimum[j] << 4) & 0xff;
        put(data, j, 0, byte);
        floats step = from_half(d) * as_floats(byte & 15), shift = from_half(dmin) * as_floats(byte >> 4);
        mask empty = equal(step, all(0.f));
        int some_empty = any(empty);
        for (int i = 0; i < 16; ++i) {
            int at = 16 * j + i;
            ints level = clamped(nearest((job->x[at] + shift) / step), 0, 3);
            if (some_empty) level = choose_int(empty, range_level(found[j], job->x[at], 3), level);
            put(data, 16 + 32 * (at / 128) + at % 32, 2 * (at % 128 / 32), level);
        }
    }
    scatter(job->to, 0, data, 21);
}

/* ---- Q3_K: 16 blocks of 16; scales of 6 bits ---- */

/* The levels of the DESCENTS blocks from `first` on, as the search left them. */
INLINE void levels_3(const struct job *job, int first, const struct scale *found, int weighed, ints (*levels)[16]) {
    const floats *x = job->x + 16 * first;
    floats dropped[DESCENTS];
    if (!weighed) descend(x, dropped, levels);
    for (int i = 0; i < 16 * DESCENTS && weighed; ++i) {
        levels[i / 16][i % 16] = scale_level(found[first + i / 16], x[i], 4);
    }
}

INLINE void quantize_3(const struct job *job, int weighed) {
    struct scale found[16];
    floats scales[16], sums[16], weights[16];
    ints scale[16], d;
    floats mean = weighed ? 2.f * sum_of_squares(job->x, 256) / 256.f : all(0.f);
    for (int j = 0; j < 16 && !weighed; j += DESCENTS) descend(job->x + 16 * j, scales + j, NULL);
    for (int j = 0; j < 16 && weighed; ++j) {
        const floats *x = job->x + 16 * j;
        weigh(weights, job->importance + 16 * j, x, mean, 16);
        sums[j] = sum_of(weights, 16);
        found[j] = find_scale(x, weights, 16, 4);
        scales[j] = found[j].value;
    }
    if (weighed) {
        struct scale block = find_scale(scales, sums, 16, 32);
        for (int j = 0; j < 16; ++j) scale[j] = scale_level(block, scales[j], 32);
        d = to_half(block.value);
    } else {
        floats most = all(0.f), widest = all(0.f);
        for (int j = 0; j < 16; ++j) {
            mask more = below(most, magnitude(scales[j]));
            most = choose(more, magnitude(scales[j]), most);
            widest = choose(more, scales[j], widest);
        }
        mask none = equal(widest, all(0.f));
        floats inverse = -32.f / widest;
        for (int j = 0; j < 16; ++j) {
            ints byte = nearest(inverse * scales[j]) << 24 >> 24; /* kept in an int8_t */
            scale[j] = choose_int(none, all_int(0), clamped(byte, -32, 31) + 32);
        }
        d = to_half(choose(none, all(0.f), 1.f / inverse));
    }

    words data[27];
    memset(data, 0, sizeof data);
    for (int j = 0; j < 16; ++j) {
        put(data, 96 + j % 8, j < 8 ? 0 : 4, scale[j] & 15);
        put(data, 104 + j % 4, 2 * (j / 4), scale[j] >> 4 & 3);
    }
    ints kept[DESCENTS][16];
    for (int j = 0; j < 16; ++j) {
        floats step = from_half(d) * as_floats(scale[j] - 32);
        mask empty = equal(step, all(0.f));
        int some_empty = any(empty);
        if (some_empty) levels_3(job, j / DESCENTS * DESCENTS, found, weighed, kept);
        for (int i = 0; i < 16; ++i) {
            int at = 16 * j + i;
            ints level = clamped(nearest(job->x[at] / step), -4, 3) + 4;
            if (some_empty) level = choose_int(empty, kept[j % DESCENTS][i], level);
            put(data, at % 32, at / 32, level >> 2);
            put(data, 32 + 32 * (at / 128) + at % 32, 2 * (at % 128 / 32), level & 3);
        }
    }
    scatter(job->to, 0, data, 27);
    scatter_half(job->to, 108, d);
}

/* ---- Q6_K: 16 blocks of 16; scales of 8 bits ---- */

INLINE void quantize_6(const struct job *job, int weighed) {
    struct scale found[16];
    floats most = all(0.f), widest = all(0.f);
    for (int j = 0; j < 16; ++j) {
        const floats *x = job->x + 16 * j;
        floats weights[16];
        for (int i = 0; i < 16; ++i) weights[i] = weighed ? all(job->importance[16 * j + i]) : x[i] * x[i];
        found[j] = find_scale(x, weights, 16, 32);
        mask more = below(most, magnitude(found[j].value));
        most = choose(more, magnitude(found[j].value), most);
        widest = choose(more, found[j].value, widest);
    }
    mask nothing = below(most, all(TINY)); /* the whole super-block becomes zeros */
    floats inverse = -128.f / widest;
    ints d = choose_int(nothing, all_int(0), to_half(1.f / inverse));

    words data[52];
    memset(data, 0, sizeof data);
    for (int j = 0; j < 16; ++j) {
        ints scale = smaller_int(nearest(inverse * found[j].value), all_int(127)) << 24 >> 24;
        scale = choose_int(nothing, all_int(0), scale);
        put(data, 192 + j, 0, scale & 0xff);
        floats step = from_half(d) * as_floats(scale);
        mask empty = equal(step, all(0.f));
        int some_empty = any(empty);
        for (int i = 0; i < 16; ++i) {
            int at = 16 * j + i, half = at / 128, quarter = at % 128 / 32;
            ints level = clamped(nearest(job->x[at] / step), -32, 31) + 32;
            if (some_empty) {
                level = choose_int(empty, scale_level(found[j], job->x[at], 32), level);
                level = choose_int(nothing, all_int(0), level);
            }
            put(data, 64 * half + 32 * (quarter % 2) + at % 32, 4 * (quarter / 2), level & 15);
            put(data, 128 + 32 * half + at % 32, 2 * quarter, level >> 4);
        }
    }
    scatter(job->to, 0, data, 52);
    scatter_half(job->to, 208, d);
}

/* ---- IQ4_XS: 8 blocks of 32; scales of 6 bits, levels that are not evenly spaced ---- */

INLINE void quantize_nonlinear_super(const struct job *job, int weighed) {
    struct table table = table_of();
    floats mean = sum_of_squares(job->x, 256) * (2.f / 256.f), most = all(0.f), widest = all(0.f);
    floats scales[8], weights[32];
    for (int j = 0; j < 8; ++j) {
        const floats *x = job->x + 32 * j;
        if (weighed) weigh(weights, job->importance + 32 * j, x, mean, 32);
        for (int i = 0; i < 32 && !weighed; ++i) weights[i] = x[i] * x[i];
        scales[j] = find_nonlinear_scale(&table, x, weights);
        mask more = below(most, magnitude(scales[j]));
        most = choose(more, magnitude(scales[j]), most);
        widest = choose(more, scales[j], widest);
    }
    floats d = -widest / 32.f;
    floats inverse = choose(equal(d, all(0.f)), all(0.f), 1.f / d);

    words data[34];
    memset(data, 0, sizeof data);
    data[0] = (words)to_half(d);
    for (int j = 0; j < 8; ++j) {
        ints scale = clamped(nearest(inverse * scales[j]), -32, 31);
        floats step = d * as_floats(scale);
        floats by = choose(equal(step, all(0.f)), all(0.f), 1.f / step);
        put(data, 4 + j / 2, 4 * (j % 2), (scale + 32) & 15);
        data[0] |= (words)((scale + 32) >> 4) << (16 + 2 * j);
        for (int i = 0; i < 32; ++i) {
            put(data, 8 + 16 * j + i % 16, i < 16 ? 0 : 4, nonlinear_index(&table, by * job->x[32 * j + i]));
        }
    }
    scatter(job->to, 0, data, 34);
}

#endif
