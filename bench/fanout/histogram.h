/* Latencies, counted in buckets whose width is at most a sixty-fourth of what is in them. */
#ifndef AGIO_BENCH_HISTOGRAM_H
#define AGIO_BENCH_HISTOGRAM_H

#include <stdint.h>

#define FINE_BITS 6
#define FINE (1 << FINE_BITS)
/* Up to 2^40 ns, which are eighteen minutes. */
#define BUCKETS ((40 - FINE_BITS) * FINE + FINE)

struct histogram {
    uint64_t count, largest, buckets[BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t value) {
    int shift = value < FINE ? 0 : 63 - __builtin_clzll(value) - FINE_BITS;
    uint64_t bucket = (uint64_t)shift * FINE + (value >> shift);
    histogram->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    histogram->count++;
    if (value > histogram->largest) histogram->largest = value;
}

/* The value that this share of all values does not exceed: the upper edge of its bucket. */
static inline uint64_t histogram_at(const struct histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)(share * histogram->count), seen = 0;
    for (uint64_t bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen > wanted || seen == histogram->count) {
            uint64_t shift = bucket < 2 * FINE ? 0 : bucket / FINE - 1;
            uint64_t edge = ((bucket - shift * FINE + 1) << shift) - 1;
            return edge < histogram->largest ? edge : histogram->largest;
        }
    }
    return 0;
}

#endif
