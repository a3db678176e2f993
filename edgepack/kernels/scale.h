/* The searches for a scale alone: ggml-quants.c's make_qx_quants, make_q3_quants and make_qp_quants, a block in each
 * lane. `TINY` and the orders of all sums are the reference's. */
#ifndef EDGEPACK_SCALE_H
#define EDGEPACK_SCALE_H

#include "lanes.h"

#define TINY 1e-15f

/* The weight that is largest by magnitude, with its sign; the first of several. Lanes where none counts are empty. */
struct extreme {
    floats value;
    mask empty;
    floats divisor; /* the value, or 1 in empty lanes: what is found in these is dropped */
};

INLINE struct extreme extreme_of(const floats *x, int count) {
    floats most = all(0.f), value = all(0.f);
    UNROLLED for (int i = 0; i < count; ++i) {
        floats size = magnitude(x[i]);
        mask more = below(most, size);
        most = choose(more, size, most);
        value = choose(more, x[i], value);
    }
    mask empty = below(most, all(TINY));
    return (struct extreme){value, empty, choose(empty, all(1.f), value)};
}

/* ---- make_qx_quants: the best of 19 scales ---- */

struct scale {
    floats value;
    floats inverse; /* of the try that was kept: its levels are top + nearest(inverse * x) */
    mask empty;
};

struct moments {
    floats cross, square;
};

INLINE floats signed_level(floats scaled, int top, int near) {
    if (near) return smaller(larger((scaled + MAGIC) - MAGIC, all(-(float)top)), all((float)(top - 1)));
    return as_floats(clamped(nearest(scaled), -top, top - 1));
}

/* `wx` is w * x, which the reference multiplies anew for every level: the same factors in the same order. */
INLINE struct moments moments_of(const floats *x, const floats *w, const floats *wx, floats inverse, int count,
                                 int top, int near) {
    struct moments sums = {all(0.f), all(0.f)};
    UNROLLED for (int i = 0; i < count; ++i) {
        floats level = signed_level(inverse * x[i], top, near);
        sums.cross += wx[i] * level;
        sums.square += (w[i] * level) * level;
    }
    return sums;
}

INLINE struct moments moments_by(const floats *x, const floats *w, const floats *wx, floats inverse, floats most,
                                 int count, int top) {
    if (any(not_below(magnitude(inverse * most), all(4e6f)))) return moments_of(x, w, wx, inverse, count, top, 0);
    return moments_of(x, w, wx, inverse, count, top, 1);
}

INLINE struct scale find_scale(const floats *x, const floats *w, int count, int top) {
    struct extreme most = extreme_of(x, count);
    floats wx[32];
    UNROLLED for (int i = 0; i < count; ++i) wx[i] = w[i] * x[i];

    floats inverse = (float)-top / most.divisor;
    struct moments sums = moments_by(x, w, wx, inverse, most.value, count, top);
    floats value = choose(equal(sums.square, all(0.f)), all(0.f), sums.cross / sums.square);
    floats best = value * sums.cross;
    struct scale found = {value, inverse, most.empty};
    for (int step = -9; step <= 9; ++step) {
        if (step == 0) continue;
        inverse = -((float)top + 0.1f * (float)step) / most.divisor;
        sums = moments_by(x, w, wx, inverse, most.value, count, top);
        mask better = and_below(below(all(0.f), sums.square), best * sums.square, sums.cross * sums.cross);
        if (!any(better)) continue;
        value = sums.cross / sums.square;
        found.value = choose(better, value, found.value);
        found.inverse = choose(better, inverse, found.inverse);
        best = choose(better, value * sums.cross, best);
    }
    found.value = choose(most.empty, all(0.f), found.value);
    return found;
}

INLINE ints scale_level(struct scale found, floats x, int top) {
    return choose_int(found.empty, all_int(0), clamped(nearest(found.inverse * x), -top, top - 1) + top);
}

/* ---- make_q3_quants: one level after the other is moved where that fits better, five times ---- */

#define DESCENTS 4 /* blocks a lane at once: while one waits for a division, the others go on */

/* DESCENTS blocks, one behind the other in `x`; their scales, and their levels where these are asked for. */
INLINE void descend(const floats *x, floats *values, ints (*levels)[16]) {
    enum { COUNT = 16, TOP = 4 };
    const floats *blocks[DESCENTS];
    struct extreme most[DESCENTS];
    floats w[DESCENTS][COUNT], wx[DESCENTS][COUNT], level[DESCENTS][COUNT];
    floats cross[DESCENTS], square[DESCENTS];
    for (int b = 0; b < DESCENTS; ++b) {
        const floats *block = blocks[b] = x + COUNT * b;
        most[b] = extreme_of(block, COUNT);
        floats inverse = (float)-TOP / most[b].divisor;
        cross[b] = square[b] = all(0.f);
        UNROLLED for (int i = 0; i < COUNT; ++i) {
            w[b][i] = block[i] * block[i];
            wx[b][i] = w[b][i] * block[i];
            level[b][i] = signed_level(inverse * block[i], TOP, 0);
            cross[b] += wx[b][i] * level[b][i];
            square[b] += (w[b][i] * level[b][i]) * level[b][i];
        }
    }
    for (int round = 0; round < 5; ++round) {
        mask moved = no_lane();
        for (int i = 0; i < COUNT; ++i) {
            UNROLLED for (int b = 0; b < DESCENTS; ++b) {
                floats now = level[b][i];
                floats other_cross = cross[b] - wx[b][i] * now;
                floats other_square = square[b] - (w[b][i] * now) * now;
                floats then = signed_level((blocks[b][i] * other_square) / other_cross, TOP, 0);
                floats new_cross = other_cross + wx[b][i] * then;
                floats new_square = other_square + (w[b][i] * then) * then;
                mask move = below(all(0.f), other_cross);
                move = and_below(move, all(0.f), new_square);
                move = and_below(move, (cross[b] * cross[b]) * new_square, (new_cross * new_cross) * square[b]);
                move = and_differ(move, (ints)then, (ints)now);
                level[b][i] = choose(move, then, now);
                cross[b] = choose(move, new_cross, cross[b]);
                square[b] = choose(move, new_square, square[b]);
                moved = either(moved, move);
            }
        }
        /* A round that moves nothing would be followed by its likes. */
        if (!any(moved)) break;
    }
    for (int b = 0; b < DESCENTS; ++b) {
        floats fitting = choose(below(all(0.f), square[b]), cross[b] / square[b], all(0.f));
        values[b] = choose(most[b].empty, all(0.f), fitting);
        for (int i = 0; i < COUNT && levels; ++i) {
            ints moved = __builtin_convertvector(level[b][i], ints) + TOP;
            levels[b][i] = choose_int(most[b].empty, all_int(0), moved);
        }
    }
}

/* ---- make_qp_quants: of a super-block's scales, none below zero; levels are bytes, and wrap as such ---- */

INLINE ints top_level(floats scaled, int top) { return smaller_int(nearest(scaled), all_int(top)); }

INLINE floats find_positive_scale(const floats *x, const floats *w, int count, int top, ints *levels) {
    floats most = all(0.f);
    for (int i = 0; i < count; ++i) most = larger(most, x[i]);
    mask empty = below(most, all(TINY));
    floats divisor = choose(empty, all(1.f), most);

    floats inverse = (float)top / divisor, scale = 1.f / inverse, least = all(0.f);
    for (int i = 0; i < count; ++i) {
        floats apart = x[i] - scale * as_floats(nearest(inverse * x[i]) & 0xff);
        least += (w[i] * apart) * apart;
    }
    for (int step = -4; step <= 4; ++step) {
        if (step == 0) continue;
        floats tried = (0.1f * (float)step + (float)top) / divisor, error = all(0.f);
        scale = 1.f / tried;
        for (int i = 0; i < count; ++i) {
            floats apart = x[i] - scale * as_floats(top_level(tried * x[i], top));
            error += (w[i] * apart) * apart;
        }
        mask better = below(error, least);
        least = choose(better, error, least);
        inverse = choose(better, tried, inverse);
    }

    floats cross = all(0.f), square = all(0.f);
    for (int i = 0; i < count; ++i) {
        ints level = top_level(inverse * x[i], top);
        levels[i] = level & 0xff;
        cross += (w[i] * x[i]) * as_floats(level);
        square += (w[i] * as_floats(level)) * as_floats(level);
    }
    for (int round = 0; round < 5; ++round) {
        mask moved = no_lane();
        for (int i = 0; i < count; ++i) {
            floats now = as_floats(levels[i]);
            floats other_cross = cross - (w[i] * x[i]) * now, other_square = square - (w[i] * now) * now;
            ints level = top_level((x[i] * other_square) / other_cross, top);
            floats then = as_floats(level);
            floats new_cross = other_cross + (w[i] * x[i]) * then, new_square = other_square + (w[i] * then) * then;
            mask move = below(all(0.f), other_cross);
            move = and_below(move, all(0.f), other_square);
            move = and_below(move, (cross * cross) * new_square, (new_cross * new_cross) * square);
            move = and_differ(move, level, levels[i]);
            levels[i] = choose_int(move, level & 0xff, levels[i]);
            cross = choose(move, new_cross, cross);
            square = choose(move, new_square, square);
            moved = either(moved, move);
        }
        if (!any(moved)) break;
    }
    for (int i = 0; i < count; ++i) levels[i] = choose_int(empty, all_int(0), levels[i]);
    return choose(empty, all(0.f), choose(below(all(0.f), square), cross / square, all(0.f)));
}

#endif
