/* The kernels in a program of their own, for machines and sanitizers that Python does not run on.
 *
 *     driver bits TYPE ROWS COLUMNS WEIGHTS IMPORTANCE|- OUT     files of floats to a file of blocks
 *     driver fuzz SEED ROUNDS                                   any bit patterns, buffers without a byte to spare
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t edgepack_quantize(int type, int stored, const void *weights, const int64_t *order, void *target, int64_t rows,
                          int64_t columns, const float *importance);

static const struct {
    int number, weights, bytes;
} TYPES[] = {{2, 32, 18},   {3, 32, 20},    {6, 32, 22},    {7, 32, 24},    {8, 32, 34},   {10, 256, 84},
             {11, 256, 110}, {12, 256, 144}, {13, 256, 176}, {14, 256, 210}, {20, 32, 18}, {23, 256, 136}};
enum { COUNT = sizeof TYPES / sizeof *TYPES };

static void *checked(void *pointer) {
    if (!pointer) exit(3);
    return pointer;
}

static float *read_floats(const char *path, int64_t count) {
    FILE *file = checked(fopen(path, "rb"));
    float *values = checked(malloc(4 * count));
    if (fread(values, 4, count, file) != (size_t)count) exit(4);
    fclose(file);
    return values;
}

static int make_bits(char **words) {
    int type = atoi(words[0]), which = 0;
    int64_t rows = atoll(words[1]), columns = atoll(words[2]);
    while (which < COUNT && TYPES[which].number != type) ++which;
    if (which == COUNT) return 5;
    float *weights = read_floats(words[3], rows * columns);
    float *importance = strcmp(words[4], "-") ? read_floats(words[4], columns) : NULL;
    int64_t size = rows * (columns / TYPES[which].weights) * TYPES[which].bytes;
    uint8_t *blocks = checked(malloc(size));
    if (edgepack_quantize(type, 0, weights, NULL, blocks, rows, columns, importance) != size) return 6;
    FILE *file = checked(fopen(words[5], "wb"));
    if (fwrite(blocks, 1, size, file) != (size_t)size || fclose(file)) return 7;
    free(weights);
    free(importance);
    free(blocks);
    return 0;
}

static uint64_t state;

static uint32_t next(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545f4914f6cdd1dULL >> 32);
}

/* Blocks of one kind each: any bits (NaN and infinity too), ordinary numbers, one number, few large ones. */
static void fill(float *values, int64_t count) {
    for (int64_t at = 0; at < count; ++at) {
        static uint32_t kind, common;
        if (at % 32 == 0) kind = next() % 4, common = next();
        uint32_t bits = kind == 2 ? common : next();
        if (kind == 1 || (kind == 3 && next() % 16)) bits = (bits & 0x83ffffff) | 0x38000000;
        memcpy(values + at, &bits, 4);
    }
}

static int fuzz(uint64_t seed, int64_t rounds) {
    state = seed * 2 + 1;
    for (int64_t round = 0; round < rounds; ++round) {
        int which = next() % COUNT;
        int64_t rows = 1 + next() % 37, columns = TYPES[which].weights * (1 + next() % 3);
        int64_t size = rows * (columns / TYPES[which].weights) * TYPES[which].bytes;
        int stored = next() % 3; /* read as 16 bits each they are other numbers, and any bits still */
        int64_t room = (stored ? 2 : 4) * rows * columns;
        float *weights = checked(malloc(4 * rows * columns)), *importance = checked(malloc(4 * columns));
        void *exact = checked(malloc(room));
        int64_t *order = checked(malloc(8 * rows));
        uint8_t *blocks = checked(malloc(size));
        fill(weights, rows * columns);
        memcpy(exact, weights, room);
        fill(importance, columns);
        for (int64_t row = 0; row < rows; ++row) order[row] = next() % rows;
        int64_t written = edgepack_quantize(TYPES[which].number, stored, exact, next() % 2 ? order : NULL, blocks, rows,
                                            columns, next() % 2 ? importance : NULL);
        if (written != size && written != -1) return 6;
        free(weights);
        free(importance);
        free(exact);
        free(order);
        free(blocks);
    }
    printf("%lld calls\n", (long long)rounds);
    return 0;
}

int main(int count, char **words) {
    if (count == 8 && !strcmp(words[1], "bits")) return make_bits(words + 2);
    if (count == 4 && !strcmp(words[1], "fuzz")) return fuzz(strtoull(words[2], NULL, 10), atoll(words[3]));
    return 2;
}
