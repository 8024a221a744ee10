// Requantiser against its specification: random vectors of the classes where it could be wrong.

#include <cstdint>

#include "Vtop.h"
#include "verilated.h"

namespace {

constexpr int LATENCY = 9, DIGITS = 16, LAYER = 4096;

struct Random {
    uint64_t state;
    uint64_t next() {
        // splitmix64
        uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
    int64_t below(int64_t bound) { return int64_t(next() >> 1) % bound; }
};

int digit_of(uint32_t& rest) {
    int digit = int((rest + 1) & 3) - 1;
    rest = (rest - uint32_t(digit)) >> 2;
    return digit;
}

int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

uint32_t pick_multiplier(Random& random) {
    static const uint32_t special[] = {
        0, 1, 1u << 30, (1u << 30) + 1, 0x7FFFFFFF, 0x7FFFFFFE, 0x55555555, 0x2AAAAAAA,
        0x66666666, 0x33333333, 0x4CCCCCCD, 0x7FFFC000, 0x40003FFF,
    };
    switch (random.below(4)) {
    case 0: return special[random.below(sizeof special / sizeof *special)];
    case 1: return uint32_t(random.next() >> 33) >> random.below(31);
    default: return 1u << 30 | uint32_t(random.next() >> 34);
    }
}

int64_t pick_u(Random& random, uint32_t multiplier, int shift, int64_t limit) {
    int64_t u;
    switch (random.below(4)) {
    case 0: u = limit - random.below(3); break;
    case 1: u = int64_t(random.next() >> 40) >> random.below(24); break;
    case 2:
        if (multiplier) {
            // Close to where an output becomes another, with one rounding or two.
            int bits = 30 + (random.below(2) ? shift : 0);
            __int128 edge = ((__int128)random.below(512) << (bits + 1)) + ((__int128)1 << bits);
            u = int64_t(clamp(int64_t(edge / multiplier >> 62 ? 0 : edge / multiplier), 0, limit));
            u += random.below(5) - 2;
            break;
        }
        [[fallthrough]];
    default: u = random.below(limit + 1);
    }
    if (random.next() >> 63) u = -u;
    return clamp(u, -limit, limit);
}

}  // namespace

// Layout shared with Python: what was tried first that differs.
struct Vector {
    int64_t u, multiplier, shift, zero_point, act_min, act_max, single, expected, found;
};

extern "C" int64_t requantise(const Vector* v, int fraction_bits) {
    const int drop = 31 - fraction_bits;
    const int64_t u = v->u;
    uint32_t rest = uint32_t(v->multiplier);
    int64_t product = 0;
    for (int number = 0; number < DIGITS; ++number) {
        int digit = digit_of(rest);
        int cut = drop > 2 * number ? drop - 2 * number : 0;
        int64_t multiple = digit < 0 && cut ? ~u : digit * u;
        product += (multiple >> cut) * (int64_t(1) << (cut + 2 * number));
    }
    const int s = int(v->shift);
    int64_t y;
    if (s && v->single) {
        y = (product + (int64_t(1) << (30 + s))) >> (31 + s);
    } else {
        y = (product + (int64_t(1) << 30)) >> 31;
        if (s) {
            int64_t half = int64_t(1) << (s - 1);
            y = y < 0 ? -((half - y) >> s) : (y + half) >> s;
        }
    }
    return clamp(y + v->zero_point, v->act_min, v->act_max);
}

// Returns how many of `count` vectors differ; the first of them is in `first`.
extern "C" int64_t try_vectors(int64_t count, uint64_t seed, int fraction_bits, int acc_bits,
                               int64_t limit, Vector* first) {
    VerilatedContext context;
    Vtop top{&context};
    Random random{seed};
    const uint32_t mask = (1u << acc_bits) - 1;
    Vector flying[LATENCY + 1] = {}, layer = {};
    uint16_t late[2] = {};
    int64_t differing = 0, made = 0;
    auto step = [&] { top.clk = 1; top.eval(); top.clk = 0; top.eval(); };
    top.rst = 1;
    for (int cycle = 0; cycle < 4; ++cycle) step();
    top.rst = 0;
    while (made < count) {
        layer.zero_point = random.below(256) - 128;
        layer.act_min = random.below(2) ? -128 : random.below(256) - 128;
        layer.act_max = random.below(2) ? 127 : layer.act_min + random.below(128 - layer.act_min);
        layer.single = random.below(2);
        top.zero_point = uint8_t(layer.zero_point);
        top.act_min = uint8_t(layer.act_min);
        top.act_max = uint8_t(layer.act_max);
        top.single_rounding = layer.single;
        step();
        const int64_t size = count - made < LAYER ? count - made : LAYER;
        for (int64_t number = 0; number < size + LATENCY; ++number) {
            Vector now = layer;
            now.multiplier = pick_multiplier(random);
            now.shift = random.below(16);
            now.u = pick_u(random, uint32_t(now.multiplier), int(now.shift), limit);
            const int32_t bias = int32_t(random.next() >> 40);
            uint32_t rest = uint32_t(now.multiplier), code = 0;
            for (int k = 0; k < DIGITS; ++k) code |= uint32_t(digit_of(rest) & 3) << 2 * k;
            top.acc = uint32_t(now.u - bias) & mask;
            top.field_2 = bias & 0xFFFF;
            top.field_3 = (code & 0xFF) << 8 | (bias >> 16 & 0xFF);
            // These two are sampled a cycle later.
            top.field_0 = late[0];
            top.field_1 = late[1];
            late[0] = code >> 8;
            late[1] = (code >> 24) | (now.shift == 0) << 8 | now.shift << 10;
            now.expected = requantise(&now, fraction_bits);
            flying[number % (LATENCY + 1)] = now;
            if (number >= LATENCY) {
                Vector& due = flying[(number - LATENCY) % (LATENCY + 1)];
                due.found = int8_t(top.value);
                if (due.found != due.expected && !differing++) *first = due;
            }
            step();
        }
        made += size;
    }
    top.final();
    return differing;
}
