/* Between memory and lanes: LANES blocks of weights become columns, and LANES columns of words become blocks.
 *
 * What is stored in half as many bits is widened on the way, rows are taken in the order in which they are written,
 * and the largest magnitude is kept in sight: memory is looked at once. */
#ifndef EDGEPACK_MEMORY_H
#define EDGEPACK_MEMORY_H

#include "lanes.h"

/* Where the lanes' blocks go: the first one's bytes, from one to the next, and how many lanes are real. */
struct place {
    uint8_t *first;
    int64_t stride;
    int lanes;
};

#if LANES == 16
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#endif

/* Rows become columns: log2(LANES) perfect shuffles. */
INLINE void turn(floats *square) {
    for (int step = 1; step < LANES; step *= 2) {
        floats shuffled[LANES];
        UNROLLED for (int row = 0; row < LANES / 2; ++row) {
            shuffled[2 * row] = __builtin_shufflevector(square[row], square[row + LANES / 2], LOWER);
            shuffled[2 * row + 1] = __builtin_shufflevector(square[row], square[row + LANES / 2], UPPER);
        }
        UNROLLED for (int row = 0; row < LANES; ++row) square[row] = shuffled[row];
    }
}

/* Rows of weights as a checkpoint stores them. */
enum stored { FLOAT32, BFLOAT16, FLOAT16 };
struct source {
    const uint8_t *first;
    enum stored as;
    int64_t columns;
    const int64_t *order; /* which row is the first, the second, …; NULL: as they are stored */
};

INLINE int stored_bytes(enum stored as) { return as == FLOAT32 ? 4 : 2; }

INLINE const uint8_t *weights_at(const struct source *source, int64_t row, int64_t column) {
    if (source->order) row = source->order[row];
    return source->first + (row * source->columns + column) * stored_bytes(source->as);
}

INLINE floats widened(const uint8_t *stored, enum stored as) {
    floats wide;
    if (as == FLOAT32) {
        memcpy(&wide, stored, sizeof wide);
        return wide;
    }
    halves narrow;
    memcpy(&narrow, stored, sizeof narrow);
    ints bits = __builtin_convertvector(narrow, ints);
    return as == BFLOAT16 ? (floats)(bits << 16) : from_half(bits);
}

INLINE void gather_as(floats *columns, const uint8_t *const *blocks, int count, enum stored as, ints *wild) {
    for (int at = 0; at < count; at += LANES) {
        floats square[LANES];
        UNROLLED for (int row = 0; row < LANES; ++row) {
            square[row] = widened(blocks[row] + at * stored_bytes(as), as);
            *wild = larger_int(*wild, (ints)square[row] & 0x7fffffff);
        }
        turn(square);
        UNROLLED for (int row = 0; row < LANES; ++row) columns[at + row] = square[row];
    }
}

/* columns[i] has the weight i of each lane's block. `wild` keeps the largest magnitude, as bits. */
INLINE void gather(floats *columns, const uint8_t *const *blocks, int count, enum stored as, ints *wild) {
    switch (as) {
    case FLOAT32: gather_as(columns, blocks, count, FLOAT32, wild); break;
    case BFLOAT16: gather_as(columns, blocks, count, BFLOAT16, wild); break;
    case FLOAT16: gather_as(columns, blocks, count, FLOAT16, wild); break;
    }
}

/* Each lane's words, to its block. */
INLINE void scatter(struct place to, int offset, const words *data, int count) {
    for (int lane = 0; lane < to.lanes; ++lane) {
        uint8_t *block = to.first + lane * to.stride + offset;
        for (int at = 0; at < count; ++at) {
            uint32_t word = data[at][lane];
            memcpy(block + 4 * at, &word, 4);
        }
    }
}

INLINE void scatter_half(struct place to, int offset, ints data) {
    for (int lane = 0; lane < to.lanes; ++lane) {
        uint16_t half = (uint16_t)data[lane];
        memcpy(to.first + lane * to.stride + offset, &half, 2);
    }
}

/* Put some bits into byte `at` of a block's words. */
INLINE void put(words *data, int at, int shift, ints bits) { data[at / 4] |= (words)bits << (8 * (at % 4) + shift); }

#endif
