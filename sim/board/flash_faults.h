// Faults of the flash's four lines, between the flash and the input registers.
//
// The same as sim/board/flash_faults.py.
#ifndef SEPARABLE_SIM_FLASH_FAULTS_H
#define SEPARABLE_SIM_FLASH_FAULTS_H

#include <cstdint>

struct FlashFaults {
    double flip = 0;                       // probability per captured nibble: one line is inverted
    uint8_t high = 0, low = 0, late = 0;   // masks of lines: stuck; half a cycle late
    uint64_t seed = 0;
};

// What faults make of nibbles, in the order in which they are captured.
class FlashSpoiler {
public:
    explicit FlashSpoiler(const FlashFaults &faults = FlashFaults())
        : faults_(faults), state_(faults.seed) {}

    uint8_t spoil(uint8_t nibble) {
        const uint8_t now = nibble;
        nibble = uint8_t((nibble & ~faults_.late) | (before_ & faults_.late));
        before_ = now;
        if (faults_.flip > 0) {
            state_ = state_ * 6364136223846793005u + 1442695040888963407u;
            if (double(state_ >> 11) < faults_.flip * 9007199254740992.0)
                nibble = uint8_t(nibble ^ (1u << (state_ >> 5 & 3)));
        }
        return uint8_t((nibble | faults_.high) & ~faults_.low & 0xf);
    }

private:
    FlashFaults faults_;
    uint64_t state_;
    uint8_t before_ = 0xf;
};

#endif
