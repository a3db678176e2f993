/* Lanes: LANES floats that go through the same operations side by side, each as if it were alone.
 *
 * Everything here is exactly rounded IEEE single precision, or integer arithmetic: a lane's result does not depend
 * on how many lanes there are, nor on the processor. The compiler must not contract a*b+c (-ffp-contract=off).
 * Three operations have a form for AVX2 and for AVX-512, where vector extensions have no word for the instruction:
 * to choose, to clamp, to look up. All others are vector extensions of GCC and Clang.
 */
#ifndef EDGEPACK_LANES_H
#define EDGEPACK_LANES_H

#include <stdint.h>
#include <string.h>

#if !defined(LANES)
#define LANES 4
#endif
#if LANES == 16 || LANES == 8
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 32")
#define EACH_LANE for (int lane = 0; lane < LANES; ++lane)

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

/* ---- Which lanes: a bit each with AVX-512, else all bits of a lane or none ---- */

#if LANES == 16
typedef __mmask16 mask;
INLINE mask below(floats a, floats b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
INLINE mask not_below(floats a, floats b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_NLT_UQ); }
INLINE mask equal(floats a, floats b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE mask either(mask a, mask b) { return (mask)(a | b); }
INLINE mask and_below(mask m, floats a, floats b) {
    return _mm512_mask_cmp_ps_mask(m, (__m512)a, (__m512)b, _CMP_LT_OQ);
}
INLINE mask and_differ(mask m, ints a, ints b) { return _mm512_mask_cmpneq_epi32_mask(m, (__m512i)a, (__m512i)b); }
INLINE mask no_lane(void) { return 0; }
INLINE int any(mask m) { return m != 0; }
INLINE floats choose(mask m, floats yes, floats no) {
    return (floats)_mm512_mask_blend_ps(m, (__m512)no, (__m512)yes);
}
INLINE ints choose_int(mask m, ints yes, ints no) {
    return (ints)_mm512_mask_blend_epi32(m, (__m512i)no, (__m512i)yes);
}
#else
typedef ints mask;
INLINE mask below(floats a, floats b) { return a < b; }
INLINE mask not_below(floats a, floats b) { return ~(a < b); }
INLINE mask equal(floats a, floats b) { return a == b; }
INLINE mask either(mask a, mask b) { return a | b; }
INLINE mask and_below(mask m, floats a, floats b) { return m & (a < b); }
INLINE mask and_differ(mask m, ints a, ints b) { return m & (a != b); }
INLINE mask no_lane(void) { return (mask){0}; }
#if LANES == 8
INLINE int any(mask m) { return _mm256_movemask_ps((__m256)m) != 0; }
INLINE floats choose(mask m, floats yes, floats no) {
    return (floats)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)m);
}
INLINE ints choose_int(mask m, ints yes, ints no) {
    return (ints)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)m);
}
#else
INLINE int any(mask m) {
    int found = 0;
    EACH_LANE found |= m[lane];
    return found != 0;
}
INLINE ints choose_int(mask m, ints yes, ints no) { return (yes & m) | (no & ~m); }
INLINE floats choose(mask m, floats yes, floats no) { return (floats)choose_int(m, (ints)yes, (ints)no); }
#endif
#endif

/* ---- Arithmetic ---- */

INLINE floats all(float value) {
    floats made;
    EACH_LANE made[lane] = value;
    return made;
}

INLINE ints all_int(int32_t value) {
    ints made;
    EACH_LANE made[lane] = value;
    return made;
}

/* a < b ? a : b, and a > b ? a : b. */
#if LANES == 16
INLINE floats smaller(floats a, floats b) { return (floats)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE floats larger(floats a, floats b) { return (floats)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE ints smaller_int(ints a, ints b) { return (ints)_mm512_min_epi32((__m512i)a, (__m512i)b); }
INLINE ints larger_int(ints a, ints b) { return (ints)_mm512_max_epi32((__m512i)a, (__m512i)b); }
INLINE floats root(floats a) { return (floats)_mm512_sqrt_ps((__m512)a); }
#elif LANES == 8
INLINE floats smaller(floats a, floats b) { return (floats)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE floats larger(floats a, floats b) { return (floats)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE ints smaller_int(ints a, ints b) { return (ints)_mm256_min_epi32((__m256i)a, (__m256i)b); }
INLINE ints larger_int(ints a, ints b) { return (ints)_mm256_max_epi32((__m256i)a, (__m256i)b); }
INLINE floats root(floats a) { return (floats)_mm256_sqrt_ps((__m256)a); }
#else
INLINE floats smaller(floats a, floats b) { return choose(a < b, a, b); }
INLINE floats larger(floats a, floats b) { return choose(a > b, a, b); }
INLINE ints smaller_int(ints a, ints b) { return choose_int(a < b, a, b); }
INLINE ints larger_int(ints a, ints b) { return choose_int(a > b, a, b); }
INLINE floats root(floats a) {
    floats made;
    EACH_LANE made[lane] = __builtin_sqrtf(a[lane]);
    return made;
}
#endif

INLINE floats magnitude(floats a) { return (floats)((ints)a & 0x7fffffff); }
INLINE floats as_floats(ints a) { return __builtin_convertvector(a, floats); }

/* To the nearest whole number, halves to even: 1.5 * 2^23 leaves no room for a fraction in the sum. Beyond 2^22 it is
 * no rounding any more, but still a function of the bits alone. */
#define MAGIC 12582912.f
INLINE ints nearest(floats a) { return ((ints)(a + MAGIC) & 0x007fffff) - 0x00400000; }
INLINE ints clamped(ints a, int32_t low, int32_t high) {
    return larger_int(smaller_int(a, all_int(high)), all_int(low));
}

/* ---- Half precision: the arithmetic of ggml-impl.h, lane by lane ---- */

INLINE ints to_half(floats a) {
    floats base = (magnitude(a) * 0x1.0p+112f) * 0x1.0p-110f;
    words bits = (words)a, doubled = bits + bits;
    words bias = doubled & 0xff000000u, least = (words)all_int(0x71000000);
    words small = (words)(bias < least), nan = (words)(doubled > (words)all_int((int32_t)0xff000000u));
    bias = (small & least) | (~small & bias);
    words sum = (words)((floats)((bias >> 1) + 0x07800000u) + base);
    words number = ((sum >> 13) & 0x7c00u) + (sum & 0x0fffu);
    return (ints)(((bits & 0x80000000u) >> 16) | (nan & 0x7e00u) | (~nan & number));
}

INLINE floats from_half(ints half) {
    words bits = (words)half << 16, doubled = bits + bits;
    floats normal = (floats)((doubled >> 4) + (0xe0u << 23)) * 0x1.0p-112f;
    floats tiny = (floats)((doubled >> 17) | (126u << 23)) - 0.5f;
    words is_tiny = (words)(doubled < (words)all_int(1 << 27));
    return (floats)((bits & 0x80000000u) | (is_tiny & (words)tiny) | (~is_tiny & (words)normal));
}

#endif
