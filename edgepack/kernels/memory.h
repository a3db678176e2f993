/* Between memory and lanes: LANES blocks of weights become columns, and LANES columns of words become blocks. */
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

/* columns[i] has the weight i of each lane's block. */
INLINE void gather(floats *columns, const float *const *blocks, int count) {
    for (int at = 0; at < count; at += LANES) {
        floats square[LANES];
        UNROLLED for (int row = 0; row < LANES; ++row) memcpy(&square[row], blocks[row] + at, sizeof(floats));
        turn(square);
        UNROLLED for (int row = 0; row < LANES; ++row) columns[at + row] = square[row];
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
