// Model of a quad SPI flash of the W25Q kind, up to 16 MB, behind the IO cells of an FPGA.
//
// The same behaviour as sim/board/flash_model.py, which has the explanations and the data sheet's
// sections; tests/sim/board/test_flash_model.py replays traces through both.  Header only, C++11:
//
//     FlashModel flash(options);
//     flash.load(address, bytes, count);
//     each core clock: sample the reader's outputs, pins_i = flash.step(cs_n, sck, o, oe),
//     then the rising edge, then drive pins_i.
//
// or, for a simulation that has the pads itself, half_step() and lines() per half of a clock.
// Pads are in flash_pads.h, numbers of the part in flash_part.h.
//
// A refusal is appended to `errors`; with `strict` it is also thrown as std::runtime_error.
#ifndef SEPARABLE_SIM_FLASH_MODEL_H
#define SEPARABLE_SIM_FLASH_MODEL_H

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "flash_pads.h"

class FlashModel : public FlashPads {
public:
    std::vector<uint8_t> array;

    explicit FlashModel(const FlashOptions &options = FlashOptions())
        : FlashPads(options), array(options.size, 0xff), status_(options.quad_enabled),
          asleep_(options.powered_down), continuous_(options.continuous_read) {
        begin();
    }

    void load(uint32_t address, const uint8_t *bytes, size_t count) {
        if (address > opt_.size || count > opt_.size - address)
            throw std::runtime_error("contents do not fit the flash");
        std::memcpy(array.data() + address, bytes, count);
    }

private:
    enum State { kOpcode, kAddress, kMode, kDummy, kRead, kWrite, kErase, kIgnore };
    enum Source { kArray, kStatus, kIdentity, kDeviceId };
    using Command = FlashCommand;

    FlashStatus status_;
    int64_t ready_at_ = 0;  // cycles
    bool asleep_;
    int continuous_;
    bool enabled_ = false, volatile_enabled_ = false, reset_enabled_ = false;
    const char *why_ = "";
    bool busy_ = false;  // not ready because of a program, erase or status write

    State state_;
    Source source_;
    uint32_t left_, shift_, address_, out_;
    int opcode_, status_index_;
    unsigned lines_, out_bits_;
    std::vector<uint8_t> bytes_;

    void begin() {
        state_ = kOpcode;
        source_ = kArray;
        left_ = 8;
        shift_ = address_ = out_ = 0;
        opcode_ = -1;
        status_index_ = 0;
        lines_ = 1;
        out_bits_ = 0;
        bytes_.clear();
    }

    static std::string command(int opcode) {
        char text[24];
        std::snprintf(text, sizeof text, "command %02Xh", unsigned(opcode));
        return text;
    }

    bool dtr() const { return opcode_ == 0xED; }

    void select() override {
        begin();
        if (continuous_ && !asleep_)
            open_read(continuous_);
    }

    double deselect() override {
        if (state_ == kWrite || state_ == kErase)
            execute();
        else if (state_ == kAddress && !Command::is_read(opcode_))
            refuse(command(opcode_) + ": /CS high in the middle of the address");
        return opcode_ < 0 || Command::is_read(opcode_) ? opt_.shsl_read : opt_.shsl_write;
    }

    void rise(unsigned o, unsigned oe) override {
        if (state_ == kRead && dtr())
            send();
        if (state_ == kRead || state_ == kIgnore)
            return;
        if (!status_.quad_enabled() && (oe & 8) && !(o & 8))
            refuse("IO3 is /HOLD and low: the quad-enable bit is 0");
        if (state_ == kErase) {
            state_ = kIgnore;
            refuse(command(opcode_) + ": more clocks than it takes");
            return;
        }
        take(o, oe);
    }

    void fall(unsigned o, unsigned oe) override {
        if (state_ == kRead)
            send();
        else if (dtr() && (state_ == kAddress || state_ == kMode) && (left_ & 1))
            take(o, oe);  // the second half of a byte; the first one came with the rising edge
    }

    // The flash takes what is on the lines.
    void take(unsigned o, unsigned oe) {
        if (state_ != kDummy) {
            const unsigned pads = taken(o, oe);
            shift_ = (shift_ << lines_) | (pads & ((1u << lines_) - 1));
        }
        if (--left_ == 0)
            advance();
    }

    // The flash shows its next bit or nibble.
    void send() {
        if (out_bits_ == 0) {
            out_ = next_byte();
            out_bits_ = 8;
        }
        out_bits_ -= lines_;
        unsigned value = (out_ >> out_bits_) & ((1u << lines_) - 1);
        if (lines_ == 1)
            outputs_.launch(now_, uint8_t(value << 1), 0x2);
        else
            outputs_.launch(now_, uint8_t(value), 0xf);
    }

    uint8_t next_byte() {
        const uint8_t identity[3] = {0xEF, uint8_t(opt_.dtr ? 0x70 : 0x40),
                                     uint8_t(std::lround(std::log2(opt_.size)))};
        switch (source_) {
        case kStatus:
            if (status_index_ == 0)
                return uint8_t(status_[0] | (cycle() < ready_at_ ? 1 : 0) | (enabled_ ? 2 : 0));
            return status_[status_index_];
        case kIdentity:
            return identity[address_++ % 3];
        case kDeviceId:
            return uint8_t(std::lround(std::log2(opt_.size)) - 1);
        default: {
            uint8_t value = array[address_];
            address_ = (address_ + 1) & (opt_.size - 1);
            return value;
        }
        }
    }

    void advance() {
        switch (state_) {
        case kOpcode:
            decode(int(shift_ & 0xff));
            break;
        case kAddress:
            address_ = shift_ & (opt_.size - 1);
            after_address();
            break;
        case kMode:
            continuous_ = ((shift_ >> 4) & 3) == 2 ? opcode_ : 0;
            enter_dummy();
            break;
        case kDummy:
            enter_read();
            break;
        case kWrite:
            bytes_.push_back(uint8_t(shift_));
            left_ = 8 / lines_;
            break;
        default:
            break;
        }
    }

    void ignore(const std::string &text) {
        state_ = kIgnore;
        refuse(text);
    }

    void answer(Source source) {
        source_ = source;
        state_ = kRead;
        lines_ = 1;
    }

    void decode(int opcode) {
        opcode_ = opcode;
        shift_ = 0;
        if (opcode == 0xFF) {  // continuous-read mode reset: harmless at any time
            state_ = kIgnore;
            return;
        }
        if (opcode == 0xAB) {
            if (asleep_) {
                asleep_ = false;
                not_ready(opt_.res1, "tRES1 is not over", false);
            }
            state_ = kDummy;
            left_ = 24;
            source_ = kDeviceId;
            return;
        }
        if (asleep_)
            return ignore(command(opcode) + " in power-down: only ABh is obeyed");
        if (cycle() < ready_at_ && (Command::status_read(opcode) < 0 || !busy_))
            return ignore(command(opcode) + ": " + why_);
        bool reset_enabled = reset_enabled_;
        reset_enabled_ = opcode == 0x66;
        if (Command::is_read(opcode)) {
            open_read(opcode);
        } else if (Command::status_read(opcode) >= 0) {
            status_index_ = Command::status_read(opcode);
            answer(kStatus);
        } else if (opcode == 0x9F) {
            answer(kIdentity);
        } else if (Command::is_program(opcode) || Command::is_erase(opcode)) {
            if (!enabled_)
                return ignore(command(opcode) + " without write enable (06h)");
            if (opcode == 0x32 && !status_.quad_enabled())
                return ignore("command 32h: the quad-enable bit is 0");
            state_ = kAddress;
            left_ = 24;
        } else if (Command::status_write(opcode) >= 0) {
            if (!enabled_ && !volatile_enabled_)
                return ignore(command(opcode) + " without write enable (06h or 50h)");
            state_ = kWrite;
            left_ = 8;
        } else {
            simple(opcode, reset_enabled);
        }
    }

    void simple(int opcode, bool reset_enabled) {
        state_ = kIgnore;
        if (opcode == 0x06) {
            enabled_ = true;
        } else if (opcode == 0x04) {
            enabled_ = false;
        } else if (opcode == 0x50) {
            volatile_enabled_ = true;
        } else if (opcode == 0xB9) {
            asleep_ = true;
        } else if (opcode == 0x66) {
        } else if (opcode == 0x99 && reset_enabled) {
            status_.reset();
            enabled_ = volatile_enabled_ = false;
            continuous_ = 0;
            not_ready(opt_.rst, "tRST is not over", false);
        } else if (opcode == 0xC7 || opcode == 0x60) {
            if (!enabled_)
                return refuse(command(opcode) + " without write enable (06h)");
            state_ = kErase;
        } else {
            refuse(command(opcode) + " is not one of the model's");
        }
    }

    void open_read(int opcode) {
        opcode_ = opcode;
        if (dtr() && !opt_.dtr)
            return ignore(command(opcode) + ": the flash has no double transfer rate");
        if (Command::is_quad(opcode) && !status_.quad_enabled())
            return ignore(command(opcode) + ": the quad-enable bit is 0");
        if (opcode == 0x03 && opt_.clock_mhz > 50)
            refuse("command 03h: clock above 50 MHz");
        if (dtr() && opt_.clock_mhz > 66)
            refuse("command EDh: clock above 66 MHz");
        state_ = kAddress;
        lines_ = Command::is_quad_io(opcode) ? 4 : 1;
        left_ = 24 / lines_;
    }

    void after_address() {
        shift_ = 0;
        if (Command::is_erase(opcode_)) {
            state_ = kErase;
        } else if (Command::is_program(opcode_)) {
            lines_ = opcode_ == 0x32 ? 4 : 1;
            state_ = kWrite;
            left_ = 8 / lines_;
        } else if (Command::is_quad_io(opcode_)) {
            state_ = kMode;
            left_ = 2;
        } else {
            enter_dummy();
        }
    }

    void enter_dummy() {
        left_ = uint32_t(Command::dummies(opcode_));
        state_ = kDummy;
        if (left_ == 0)
            enter_read();
    }

    void enter_read() {
        state_ = kRead;
        lines_ = Command::is_quad(opcode_) ? 4 : 1;
    }

    void not_ready(double time, const char *why, bool busy) {
        ready_at_ = cycle() + int64_t(std::ceil(time / period_));
        why_ = why;
        busy_ = busy;
    }

    void execute() {
        if (state_ == kWrite && (left_ != 8 / lines_ || bytes_.empty()))
            return refuse(command(opcode_) + ": /CS high in the middle of a byte");
        if (Command::status_write(opcode_) >= 0)
            return write_status(Command::status_write(opcode_));
        enabled_ = false;
        double time;
        if (Command::is_program(opcode_)) {
            size_t skip = bytes_.size() > 256 ? bytes_.size() - 256 : 0;
            for (size_t index = skip; index < bytes_.size(); ++index)
                array[(address_ & ~0xffu) + ((address_ + index) & 0xff)] &= bytes_[index];
            time = opt_.pp;
        } else if (Command::is_erase(opcode_)) {
            const uint32_t size = Command::erased(opcode_);
            std::memset(array.data() + (address_ & ~(size - 1)), 0xff, size);
            time = opcode_ == 0x20 ? opt_.se : opcode_ == 0x52 ? opt_.be1 : opt_.be2;
        } else {
            std::memset(array.data(), 0xff, opt_.size);
            time = opt_.ce;
        }
        not_ready(time * opt_.busy_scale, "busy", true);
    }

    void write_status(int index) {
        status_.write(index, bytes_, enabled_);
        if (enabled_)
            not_ready(opt_.w * opt_.busy_scale, "busy", true);
        enabled_ = volatile_enabled_ = false;
    }
};

#endif
