// The W25Q128JV's numbers: commands, delays, status registers, and outputs that come late.
//
// The same as sim/board/flash_part.py; flash_model.h is the flash that is made of them.
#ifndef SEPARABLE_SIM_FLASH_PART_H
#define SEPARABLE_SIM_FLASH_PART_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

struct FlashOptions {
    double clock_mhz = 39.75;
    bool dtr = true;              // a part of ordering code IM
    uint32_t size = 1u << 24;     // bytes, a power of two
    bool quad_enabled = false;    // the non-volatile QE bit
    bool powered_down = true;     // as after configuration of an iCE40
    int continuous_read = 0;      // opcode of the mode that the flash is in
    bool strict = true;
    int64_t reset_cycles = 0;     // in which the design behind the pads is in reset
    // Delays, nanoseconds; names as in FlashTiming (flash_part.py), whose path() gives the first
    // two: they are a matter of the FPGA, its clocks and the corner.
    double path_max = 0.0, path_min = 0.0, clqv = 6.0, clqx = 1.5, slch = 5.0;
    double shch = 3.0, shqz = 7.0, shsl_read = 10.0, shsl_write = 50.0;
    double res1 = 3000.0, rst = 30000.0;
    double w = 10e6, pp = 0.4e6, se = 45e6, be1 = 120e6, be2 = 150e6, ce = 40e9;
    double busy_scale = 1.0;
};

// What the commands are, by their opcodes.
struct FlashCommand {
    static bool is_quad_io(int op) { return op == 0xEB || op == 0xED; }
    static bool is_quad(int op) { return op == 0x6B || is_quad_io(op); }
    static bool is_read(int op) { return op == 0x03 || op == 0x0B || is_quad(op); }
    static bool is_program(int op) { return op == 0x02 || op == 0x32; }
    static bool is_erase(int op) { return op == 0x20 || op == 0x52 || op == 0xD8; }
    static int status_read(int op) { return op == 0x05 ? 0 : op == 0x35 ? 1 : op == 0x15 ? 2 : -1; }
    static int status_write(int op) { return op == 0x01 ? 0 : op == 0x31 ? 1 : op == 0x11 ? 2 : -1; }

    static uint32_t erased(int op) { return op == 0x20 ? 1u << 12 : op == 0x52 ? 1u << 15 : 1u << 16; }
    static int dummies(int op) { return op == 0x03 ? 0 : op == 0xEB ? 4 : op == 0xED ? 7 : 8; }
};

// The three status registers in force, and what they are after a reset.
class FlashStatus {
public:
    explicit FlashStatus(bool quad_enabled) {
        stored_[1] = quad_enabled ? 0x02 : 0;
        reset();
    }

    uint8_t operator[](int index) const { return now_[index]; }
    bool quad_enabled() const { return now_[1] & 0x02; }

    // Take what is stored.
    void reset() { std::memcpy(now_, stored_, sizeof now_); }

    // Write register `index`, and from register 0 on the next one.
    void write(int index, const std::vector<uint8_t> &values, bool permanent) {
        static const uint8_t masks[3] = {0xFC, 0x43, 0x64};
        for (size_t k = 0; k < values.size() && k < (index == 0 ? 2u : 1u); ++k) {
            const uint8_t mask = masks[index + k];
            now_[index + k] = uint8_t((now_[index + k] & ~mask) | (values[k] & mask));
            if (permanent)
                stored_[index + k] = now_[index + k];
        }
    }

private:
    uint8_t stored_[3] = {0, 0, 0x60}, now_[3];
};

// The flash's outputs, as input registers see them some time after they changed.
class FlashOutputs {
public:
    // What they see of the lines, and which of the lines the flash drives.
    struct Lines {
        uint8_t value, mask;
    };

    FlashOutputs(const FlashOptions &options, double period)
        : late_(int(std::ceil((options.path_max + options.clqv) / (period / 2) - 1e-9))),
          early_(int(std::floor((options.path_min + options.clqx) / (period / 2) + 1e-9))) {}

    // Mask of the lines that the flash drives.
    uint8_t driven() const { return launched_ ? at(0).lines : uint8_t(0); }

    // The outputs change at the clock edge that begins a half cycle.
    void launch(int64_t now, uint8_t value, uint8_t lines) {
        newest_ = (newest_ + 1) & 15;
        launches_[newest_] = Launch{now, value, lines};
        if (launched_ < 16)
            ++launched_;
    }

    Lines seen(int64_t now) const {
        for (unsigned back = 0; back < launched_; ++back) {
            const Launch &item = at(back);
            if (now - item.time >= late_)
                return Lines{item.value, item.lines};
            if (now - item.time > early_)  // neither the old nor the new value
                return Lines{uint8_t(~item.value & 0xf), item.lines};
        }
        return Lines{0xf, 0};  // nobody drives: pulled up
    }

private:
    struct Launch {
        int64_t time;
        uint8_t value, lines;
    };

    // An output that changes at a clock edge may be captured this many half cycles later (at the
    // earliest), and the one before it this many half cycles later (at the latest).
    int late_, early_;
    Launch launches_[16] = {};
    unsigned newest_ = 0, launched_ = 0;

    const Launch &at(unsigned back) const { return launches_[(newest_ - back) & 15]; }
};

#endif
