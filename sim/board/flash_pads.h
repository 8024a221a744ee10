// The flash's pads: edges of /CS and SCK, what the host drives, and when lines are captured.
//
// The same as sim/board/flash_pads.py; flash_model.h is the flash behind them.
#ifndef SEPARABLE_SIM_FLASH_PADS_H
#define SEPARABLE_SIM_FLASH_PADS_H

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "flash_faults.h"
#include "flash_part.h"

class FlashPads {
public:
    std::vector<std::string> errors;

    explicit FlashPads(const FlashOptions &options)
        : opt_(options), period_(1000.0 / options.clock_mhz), outputs_(options, period_),
          gap_(options.shsl_read) {}
    virtual ~FlashPads() = default;

    // From now on the lines have faults.
    void have(const FlashFaults &faults) { spoiler_ = FlashSpoiler(faults); }

    // From now on lines take other times on their way; see FlashOptions.
    void go_by(double path_max, double path_min) {
        opt_.path_max = path_max;
        opt_.path_min = path_min;
        outputs_ = FlashOutputs(opt_, period_);
    }

    // What an input register captures at the end of this half cycle, of lines that the host does
    // not drive.
    uint8_t lines() {
        const FlashOutputs::Lines seen = outputs_.seen(now_ + 1);
        return spoiler_.spoil(uint8_t((seen.value & seen.mask) | (~seen.mask & 0xf)));
    }

    // Advance one core clock: arguments are the reader's outputs in the cycle that ends with it
    // (SCK: bit 0 for the first half of the next one, bit 1 for the second); the result is what
    // the input registers hold after it (bits 7:4 captured in the middle, 3:0 at the end).
    uint8_t step(bool cs_n, unsigned sck, unsigned o, unsigned oe) {
        const unsigned high = capture(now_);
        const unsigned low = capture(now_ + 1);
        half_step(cs_n, sck & 1, o, oe);
        half_step(cs_n, sck >> 1, o, oe);
        return uint8_t(high << 4 | low);
    }

    // Half a core clock begins, with these levels at the pads.
    void half_step(bool cs_n, bool sck, unsigned o, unsigned oe) {
        ++now_;
        if (sck_ && !sck && !cs_n && !cs_n_)
            fall(o, oe);
        if (cs_n != cs_n_) {
            if (cs_n)
                leave();
            else
                enter();
            cs_n_ = cs_n;
        }
        if (o != host_o_ || oe != host_oe_) {
            host_o_ = o;
            host_oe_ = oe;
            moved_at_ = now_;
        }
        check_release(oe);
        const bool rises = sck && !sck_;
        sck_ = sck;
        if (rises) {
            check_clock(cs_n);
            if (!cs_n)
                rise(o, oe);
        }
    }

protected:
    FlashOptions opt_;
    double period_;
    FlashOutputs outputs_;
    FlashSpoiler spoiler_;
    int64_t now_ = 1;  // half cycles

    // A command begins and ends; both clock edges while it lasts.  deselect() returns how long /CS
    // has to stay high, nanoseconds.
    virtual void select() = 0;
    virtual double deselect() = 0;
    virtual void rise(unsigned o, unsigned oe) = 0;
    virtual void fall(unsigned o, unsigned oe) = 0;

    int64_t cycle() const { return now_ >> 1; }

    void refuse(const std::string &text) {
        errors.push_back("cycle " + std::to_string(cycle()) + ": " + text);
        if (opt_.strict)
            throw std::runtime_error(errors.back());
    }

    // The levels that the flash takes from its pads.
    unsigned taken(unsigned o, unsigned oe) {
        if (o != host_o_ || oe != host_oe_ || moved_at_ == now_)
            refuse("the lines change while the flash takes them");
        return (o & oe) | (~oe & 0xfu);
    }

private:
    int64_t cs_high_at_ = -1000000, selected_at_ = 0, moved_at_ = 0;  // half cycles
    bool cs_n_ = true, sck_ = false;
    double gap_;
    unsigned host_o_ = 0, host_oe_ = 0;
    unsigned letting_go_ = 0;  // lines that the flash still drives, behind a rise of /CS

    // Nanoseconds since a half cycle began.
    double since(int64_t then) const { return double(now_ - then) * period_ / 2; }

    // The host must not drive what the flash has not let go of.
    void check_release(unsigned oe) {
        if (letting_go_ && since(cs_high_at_) >= opt_.shqz)
            letting_go_ = 0;
        if (letting_go_ & oe) {
            letting_go_ = 0;
            char text[120];
            std::snprintf(text, sizeof text, "the host drives lines less than %.0f ns (tSHQZ) "
                          "after /CS went high: the flash drives them still", opt_.shqz);
            refuse(text);
        }
    }

    // SCK rises: it must not close to an edge of /CS, nor in reset.
    void check_clock(bool cs_n) {
        if (cycle() < opt_.reset_cycles)
            refuse("the clock runs in reset");
        if (!cs_n && since(selected_at_) < opt_.slch)
            refuse("clock rises too early after /CS");
        if (cs_n && since(cs_high_at_) < opt_.shch)
            refuse("clock rises too early after /CS went high");
    }

    uint8_t capture(int64_t at) {
        const FlashOutputs::Lines seen = outputs_.seen(at);
        const unsigned value = seen.value, mask = seen.mask;
        if ((host_oe_ & mask) && (outputs_.driven() & host_oe_))
            refuse("the host drives lines that the flash drives");
        const unsigned others = ((host_o_ & host_oe_) | ~host_oe_) & 0xfu;
        return spoiler_.spoil(uint8_t((value & mask) | (others & ~mask)));
    }

    void enter() {
        if (cycle() < opt_.reset_cycles)
            refuse("/CS is low in reset");
        const double high = since(cs_high_at_);
        if (high < gap_ - 1e-6) {
            char text[80];
            std::snprintf(text, sizeof text, "/CS high for %.0f ns, must be at least %.0f ns", high,
                          gap_);
            refuse(text);
        }
        selected_at_ = now_;
        letting_go_ = 0;
        select();
    }

    void leave() {
        cs_high_at_ = now_;
        letting_go_ = outputs_.driven();
        if (outputs_.driven())
            outputs_.launch(now_, 0xf, 0);
        gap_ = deselect();
    }
};

#endif
