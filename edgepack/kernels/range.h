/* The search for a block's scale and minimum: ggml-quants.c's make_qkx2_quants and make_qkx3_quants, a block a lane.
 *
 * A lane that the reference would have left early, or would not have changed, goes along and keeps what it had.
 * The levels of the best try are not kept: what made them is, and `range_level` computes them again where they are
 * needed, which is only where a block's rounded scale is zero.
 */
#ifndef EDGEPACK_RANGE_H
#define EDGEPACK_RANGE_H

#include "lanes.h"

struct range {
    floats scale, minimum;  /* what the reference returns: the minimum with its sign turned */
    floats inverse, origin; /* of the try that was kept: its levels are nearest(inverse * (x - origin)) */
};

struct tries {
    int count, top; /* weights, and the highest level */
    float first, step;
    int steps;
    int absolute; /* errors count by magnitude, not by square */
};

/* The level, as a float. Within 2^22 `nearest` is the sum less MAGIC again: the same number for less. */
INLINE floats level(floats inverse, floats distance, int top, int near) {
    floats scaled = inverse * distance;
    if (near) return smaller(larger((scaled + MAGIC) - MAGIC, all(0.f)), all((float)top));
    return as_floats(clamped(nearest(scaled), 0, top));
}

INLINE ints range_level(struct range found, floats x, int top) {
    return clamped(nearest(found.inverse * (x - found.origin)), 0, top);
}

INLINE floats error_of(floats value, floats x, floats w, int absolute) {
    floats apart = value - x;
    return w * (absolute ? magnitude(apart) : apart * apart);
}

/* Whether every product of the try stays where `level` may take the short way: products grow with x. */
INLINE int is_near(floats inverse, floats origin, floats lowest, floats highest) {
    floats edge = larger(magnitude(inverse * (highest - origin)), magnitude(inverse * (lowest - origin)));
    return !any(not_below(edge, all(4e6f)));
}

struct sums {
    floats level, square, cross;
};

INLINE struct sums sums_of(const floats *x, const floats *w, floats *levels, floats inverse, floats origin,
                           struct tries tries, int near) {
    struct sums sums = {all(0.f), all(0.f), all(0.f)};
    UNROLLED for (int i = 0; i < tries.count; ++i) {
        floats at = level(inverse, x[i] - origin, tries.top, near);
        levels[i] = at;
        floats weighed = w[i] * at;
        sums.level += weighed;
        sums.square += weighed * at;
        sums.cross += weighed * x[i];
    }
    return sums;
}

INLINE struct range find_range(const floats *x, const floats *w, struct tries tries) {
    floats lowest = x[0], highest = x[0], sum_w = w[0], sum_x = w[0] * x[0];
    UNROLLED for (int i = 1; i < tries.count; ++i) {
        lowest = smaller(x[i], lowest);
        highest = larger(x[i], highest);
        sum_w += w[i];
        sum_x += w[i] * x[i];
    }
    floats origin = choose(below(all(0.f), lowest), all(0.f), lowest);
    mask constant = equal(highest, origin);
    floats flat = origin;
    /* Constant lanes get any width that is none: what is found in them is dropped below. */
    floats top = choose(constant, origin + 1.f, highest);

    floats inverse = (float)tries.top / (top - origin);
    struct range best = {1.f / inverse, origin, inverse, origin};
    floats least = all(0.f), levels[32];
    int near = is_near(inverse, origin, lowest, highest);
    for (int i = 0; i < tries.count; ++i) {
        floats at = near ? level(inverse, x[i] - origin, tries.top, 1) : level(inverse, x[i] - origin, tries.top, 0);
        least += error_of(best.scale * at + origin, x[i], w[i], tries.absolute);
    }

    for (int step = 0; step <= tries.steps; ++step) {
        float wanted = tries.first + tries.step * (float)step + (float)tries.top;
        inverse = wanted / (top - origin);
        struct sums s = is_near(inverse, origin, lowest, highest)
                            ? sums_of(x, w, levels, inverse, origin, tries, 1)
                            : sums_of(x, w, levels, inverse, origin, tries, 0);
        floats determinant = sum_w * s.square - s.level * s.level;
        mask solvable = below(all(0.f), determinant);
        floats scale = (sum_w * s.cross - sum_x * s.level) / determinant;
        floats minimum = (s.square * sum_x - s.level * s.cross) / determinant;
        mask positive = below(all(0.f), minimum);
        minimum = choose(positive, all(0.f), minimum);
        scale = choose(positive, s.cross / s.square, scale);
        floats error = all(0.f);
        UNROLLED for (int i = 0; i < tries.count; ++i) {
            error += error_of(scale * levels[i] + minimum, x[i], w[i], tries.absolute);
        }
        mask better = and_below(solvable, error, least);
        if (!any(better)) continue;
        least = choose(better, error, least);
        best.scale = choose(better, scale, best.scale);
        best.inverse = choose(better, inverse, best.inverse);
        best.origin = choose(better, origin, best.origin);
        origin = choose(better, minimum, origin);
    }
    best.scale = choose(constant, all(0.f), best.scale);
    best.inverse = choose(constant, all(0.f), best.inverse);
    best.origin = choose(constant, flat, best.origin);
    best.minimum = -choose(constant, flat, origin);
    return best;
}

#endif
