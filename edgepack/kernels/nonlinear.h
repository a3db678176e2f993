/* Sixteen levels that are not evenly spaced (IQ4_NL, IQ4_XS): ggml-quants.c's quantize_row_iq4_nl_impl and its
 * best_index_int8, a block in each lane.
 *
 * The reference finds a level by halving its list, then takes the nearer neighbour: `x - low < high - x ? low : high`.
 * As floats, that turns over once between two levels, exactly at their middle (tests/kernels/test_kernel_building.py
 * tries it), so a level is the number of middles that x is not below. A NaN is below none, and gets the last, as there.
 */
#ifndef EDGEPACK_NONLINEAR_H
#define EDGEPACK_NONLINEAR_H

#include "scale.h"

static const float LEVELS[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const float MIDDLES[15] = {-115.5f, -93.5f, -74.f, -57.f, -42.f, -28.5f, -16.f, -4.5f,
                                  7.f,     19.f,   31.5f, 45.5f, 61.f,  79.f,   101.f};

/* What turns a number into its level. With AVX-512 the range is cut into 32 bins with at most one middle each: a bin's
 * number gives the two levels in question and the middle between them, by three look-ups and a comparison. That holds
 * for what the searches ask, at most 134.x by magnitude. */
struct table {
#if LANES == 16
    floats middle[2], low[2], high[2];
    ints index[2]; /* of the low one */
#elif LANES == 8
    floats second, third, fourth, even, odd;
#else
    int none;
#endif
};

#define BINS_A_UNIT 0.11494253f /* 1 / 8.7: the narrowest level is 11.5 wide, and 134.x is within 15.5 bins */

INLINE struct table table_of(void) {
    struct table made;
#if LANES == 16
    float middle[32], low[32], high[32];
    int32_t number[32];
    for (int bin = -16; bin < 16; ++bin) {
        int at = bin & 31, index = 0, inside = 0;
        for (int i = 0; i < 15; ++i) {
            int where = (int)(MIDDLES[i] * BINS_A_UNIT + MAGIC - MAGIC);
            index += where < bin;
            inside += where == bin;
        }
        middle[at] = index < 15 ? MIDDLES[index] : __builtin_inff(); /* the bin's own, or the next above */
        low[at] = LEVELS[index];
        high[at] = LEVELS[index + inside];
        number[at] = index;
    }
    memcpy(made.middle, middle, sizeof middle);
    memcpy(made.low, low, sizeof low);
    memcpy(made.high, high, sizeof high);
    memcpy(made.index, number, sizeof number);
#elif LANES == 8
    for (int i = 0; i < 8; ++i) {
        made.second[i] = MIDDLES[8 * (i % 2) + 3];
        made.third[i] = MIDDLES[4 * (i % 4) + 1];
        made.fourth[i] = MIDDLES[2 * i];
        made.even[i] = LEVELS[2 * i];
        made.odd[i] = LEVELS[2 * i + 1];
    }
#else
    made.none = 0;
#endif
    return made;
}

INLINE floats nonlinear_level(const struct table *table, floats x) {
#if LANES == 16
    __m512i bin = (__m512i)(x * BINS_A_UNIT + MAGIC);
    floats middle = (floats)_mm512_permutex2var_ps((__m512)table->middle[0], bin, (__m512)table->middle[1]);
    floats low = (floats)_mm512_permutex2var_ps((__m512)table->low[0], bin, (__m512)table->low[1]);
    floats high = (floats)_mm512_permutex2var_ps((__m512)table->high[0], bin, (__m512)table->high[1]);
    return choose(below(x, middle), low, high);
#elif LANES == 8
    ints at = not_below(x, all(MIDDLES[7])) & 1;
    at = at + at - not_below(x, (floats)_mm256_permutevar8x32_ps((__m256)table->second, (__m256i)at));
    at = at + at - not_below(x, (floats)_mm256_permutevar8x32_ps((__m256)table->third, (__m256i)at));
    mask odd = not_below(x, (floats)_mm256_permutevar8x32_ps((__m256)table->fourth, (__m256i)at));
    return choose(odd, (floats)_mm256_permutevar8x32_ps((__m256)table->odd, (__m256i)at),
                  (floats)_mm256_permutevar8x32_ps((__m256)table->even, (__m256i)at));
#else
    (void)table;
    ints level = all_int((int32_t)LEVELS[0]);
    UNROLLED for (int i = 0; i < 15; ++i) {
        level += not_below(x, all(MIDDLES[i])) & all_int((int32_t)(LEVELS[i + 1] - LEVELS[i]));
    }
    return as_floats(level);
#endif
}

/* The level's number, for any x. */
INLINE ints nonlinear_index(const struct table *table, floats x) {
#if LANES == 16
    floats near = larger(smaller(x, all(134.f)), all(-134.f)); /* a NaN becomes 134 */
    __m512i bin = (__m512i)(near * BINS_A_UNIT + MAGIC);
    floats middle = (floats)_mm512_permutex2var_ps((__m512)table->middle[0], bin, (__m512)table->middle[1]);
    ints index = (ints)_mm512_permutex2var_epi32((__m512i)table->index[0], bin, (__m512i)table->index[1]);
    return choose_int(not_below(near, middle), index + 1, index);
#else
    (void)table;
    ints index = all_int(0);
    UNROLLED for (int i = 0; i < 15; ++i) index -= not_below(x, all(MIDDLES[i]));
    return index;
#endif
}

INLINE struct moments nonlinear_moments(const struct table *table, const floats *x, const floats *w, floats inverse) {
    struct moments sums = {all(0.f), all(0.f)};
    UNROLLED for (int i = 0; i < 32; ++i) {
        floats level = nonlinear_level(table, inverse * x[i]);
        floats weighed = w[i] * level;
        sums.cross += weighed * x[i];
        sums.square += weighed * level;
    }
    return sums;
}

/* The scale of 32 weights, of sixteen tried; 0 where no weight counts. */
INLINE floats find_nonlinear_scale(const struct table *table, const floats *x, const floats *w) {
    struct extreme most = extreme_of(x, 32);
    floats first = -most.divisor / LEVELS[0];
    struct moments sums = nonlinear_moments(table, x, w, 1.f / first);
    floats scale = choose(below(all(0.f), sums.square), sums.cross / sums.square, all(0.f));
    floats best = scale * sums.cross;
    for (int step = -7; step <= 7; ++step) {
        sums = nonlinear_moments(table, x, w, ((float)step + LEVELS[0]) / most.divisor);
        mask better = and_below(below(all(0.f), sums.square), best * sums.square, sums.cross * sums.cross);
        floats tried = sums.cross / sums.square;
        scale = choose(better, tried, scale);
        best = choose(better, tried * sums.cross, best);
    }
    return choose(most.empty, all(0.f), scale);
}

#endif
