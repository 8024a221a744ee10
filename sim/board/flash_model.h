// Model of a W25Q128JV-DTR quad SPI flash behind the IO cells of an FPGA.
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

struct FlashOptions {
    double clock_mhz = 39.75;
    bool dtr = true;              // a W25Q128JV-DTR
    bool quad_enabled = false;    // the non-volatile QE bit
    bool powered_down = true;     // as after configuration of an iCE40
    int continuous_read = 0;      // opcode of the mode that the flash is in
    bool strict = true;
    // Delays, nanoseconds; names as in FlashTiming (flash_part.py).
    double path_max = 6.1, path_min = 0.1, clqv = 6.0, clqx = 1.5, slch = 5.0;
    double shsl_read = 10.0, shsl_write = 50.0, res1 = 3000.0, rst = 30000.0;
    double w = 10e6, pp = 0.4e6, se = 45e6, be1 = 120e6, be2 = 150e6, ce = 40e9;
    double busy_scale = 1.0;
};

class FlashModel {
public:
    static constexpr uint32_t kSize = 1u << 24;

    std::vector<std::string> errors;
    std::vector<uint8_t> array;

    explicit FlashModel(const FlashOptions &options = FlashOptions())
        : array(kSize, 0xff), opt_(options), period_(1000.0 / options.clock_mhz),
          asleep_(options.powered_down), continuous_(options.continuous_read) {
        stored_[1] = options.quad_enabled ? 0x02 : 0;
        std::memcpy(status_, stored_, sizeof status_);
        late_ = int(std::ceil((opt_.path_max + opt_.clqv) / (period_ / 2) - 1e-9));
        early_ = int(std::floor((opt_.path_min + opt_.clqx) / (period_ / 2) + 1e-9));
        gap_ = opt_.shsl_read;
        begin();
    }

    void load(uint32_t address, const uint8_t *bytes, size_t count) {
        if (address > kSize || count > kSize - address)
            throw std::runtime_error("contents do not fit the flash");
        std::memcpy(array.data() + address, bytes, count);
    }

    // What the flash makes of the lines that an input register captures at the end of this half
    // cycle, and which of the lines it drives.
    struct Lines {
        uint8_t value, mask;
    };

    Lines lines() const { return lines(now_ + 1); }

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
                deselect();
            else
                select();
            cs_n_ = cs_n;
        }
        if (o != host_o_ || oe != host_oe_) {
            host_o_ = o;
            host_oe_ = oe;
            moved_at_ = now_;
        }
        const bool rises = sck && !sck_;
        sck_ = sck;
        if (rises && !cs_n)
            rise(o, oe);
    }

private:
    enum State { kOpcode, kAddress, kMode, kDummy, kRead, kWrite, kErase, kIgnore };
    enum Source { kArray, kStatus, kIdentity, kDeviceId };
    struct Launch {
        int64_t time;
        uint8_t value, lines;
    };

    FlashOptions opt_;
    double period_;
    uint8_t stored_[3] = {0, 0, 0x60}, status_[3];
    int late_, early_;
    Launch launches_[16] = {};
    unsigned newest_ = 0, launched_ = 0;
    int64_t now_ = 1, cs_high_at_ = -1000000, selected_at_ = 0, moved_at_ = 0;  // half cycles
    int64_t ready_at_ = 0;  // cycles
    bool asleep_;
    int continuous_;
    bool enabled_ = false, volatile_enabled_ = false, reset_enabled_ = false;
    const char *why_ = "";
    bool busy_ = false;  // not ready because of a program, erase or status write
    bool cs_n_ = true, sck_ = false;
    double gap_;
    unsigned host_o_ = 0, host_oe_ = 0;

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

    void refuse(const std::string &text) {
        errors.push_back("cycle " + std::to_string(cycle()) + ": " + text);
        if (opt_.strict)
            throw std::runtime_error(errors.back());
    }

    static std::string command(int opcode) {
        char text[24];
        std::snprintf(text, sizeof text, "command %02Xh", unsigned(opcode));
        return text;
    }

    static bool is_read(int op) { return op == 0x03 || op == 0x0B || is_quad(op); }
    static bool is_quad(int op) { return op == 0x6B || is_quad_io(op); }
    static bool is_quad_io(int op) { return op == 0xEB || op == 0xED; }
    static bool is_program(int op) { return op == 0x02 || op == 0x32; }
    static bool is_erase(int op) { return op == 0x20 || op == 0x52 || op == 0xD8; }
    static int status_read(int op) { return op == 0x05 ? 0 : op == 0x35 ? 1 : op == 0x15 ? 2 : -1; }
    static int status_write(int op) { return op == 0x01 ? 0 : op == 0x31 ? 1 : op == 0x11 ? 2 : -1; }

    int64_t cycle() const { return now_ >> 1; }
    bool dtr() const { return opcode_ == 0xED; }

    Lines lines(int64_t at) const {
        for (unsigned back = 0; back < launched_; ++back) {
            const Launch &item = launch_at(back);
            if (at - item.time >= late_)
                return Lines{item.value, item.lines};
            if (at - item.time > early_)  // neither the old nor the new value
                return Lines{uint8_t(~item.value & 0xf), item.lines};
        }
        return Lines{0xf, 0};  // nobody drives: pulled up
    }

    const Launch &launch_at(unsigned back) const { return launches_[(newest_ - back) & 15]; }

    void launch(uint8_t value, uint8_t lines) {
        newest_ = (newest_ + 1) & 15;
        launches_[newest_] = Launch{now_, value, lines};
        if (launched_ < 16)
            ++launched_;
    }

    uint8_t capture(int64_t at) {
        const Lines seen = lines(at);
        const unsigned value = seen.value, mask = seen.mask;
        if ((host_oe_ & mask) && (launch_at(0).lines & host_oe_))
            refuse("the host drives lines that the flash drives");
        return uint8_t((value & mask) | (((host_o_ & host_oe_) | (~host_oe_ & 0xfu)) & ~mask & 0xfu));
    }

    void select() {
        double high = double(now_ - cs_high_at_) * period_ / 2;
        if (high < gap_ - 1e-6) {
            char text[80];
            std::snprintf(text, sizeof text, "/CS high for %.0f ns, must be at least %.0f ns", high,
                          gap_);
            refuse(text);
        }
        selected_at_ = now_;
        begin();
        if (continuous_ && !asleep_)
            open_read(continuous_);
    }

    void deselect() {
        cs_high_at_ = now_;
        gap_ = opcode_ < 0 || is_read(opcode_) ? opt_.shsl_read : opt_.shsl_write;
        if (launched_ && launch_at(0).lines)
            launch(0xf, 0);
        if (state_ == kWrite || state_ == kErase)
            execute();
        else if (state_ == kAddress && !is_read(opcode_))
            refuse(command(opcode_) + ": /CS high in the middle of the address");
    }

    void rise(unsigned o, unsigned oe) {
        if (double(now_ - selected_at_) * period_ / 2 < opt_.slch)
            refuse("clock rises too early after /CS");
        if (state_ == kRead && dtr())
            send();
        if (state_ == kRead || state_ == kIgnore)
            return;
        if (!(status_[1] & 0x02) && (oe & 8) && !(o & 8))
            refuse("IO3 is /HOLD and low: the quad-enable bit is 0");
        if (state_ == kErase) {
            state_ = kIgnore;
            refuse(command(opcode_) + ": more clocks than it takes");
            return;
        }
        take(o, oe);
    }

    void fall(unsigned o, unsigned oe) {
        if (state_ == kRead)
            send();
        else if (dtr() && (state_ == kAddress || state_ == kMode) && (left_ & 1))
            take(o, oe);  // the second half of a byte; the first one came with the rising edge
    }

    // The flash takes what is on the lines.
    void take(unsigned o, unsigned oe) {
        if (state_ != kDummy) {
            if (o != host_o_ || oe != host_oe_ || moved_at_ == now_)
                refuse("the lines change while the flash takes them");
            unsigned pads = (o & oe) | (~oe & 0xfu);
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
            launch(uint8_t(value << 1), 0x2);
        else
            launch(uint8_t(value), 0xf);
    }

    uint8_t next_byte() {
        const uint8_t identity[3] = {0xEF, uint8_t(opt_.dtr ? 0x70 : 0x40), 0x18};
        switch (source_) {
        case kStatus:
            if (status_index_ == 0)
                return uint8_t(status_[0] | (cycle() < ready_at_ ? 1 : 0) | (enabled_ ? 2 : 0));
            return status_[status_index_];
        case kIdentity:
            return identity[address_++ % 3];
        case kDeviceId:
            return 0x17;
        default: {
            uint8_t value = array[address_];
            address_ = (address_ + 1) & (kSize - 1);
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
            address_ = shift_ & 0xffffff;
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
        if (cycle() < ready_at_ && (status_read(opcode) < 0 || !busy_))
            return ignore(command(opcode) + ": " + why_);
        bool reset_enabled = reset_enabled_;
        reset_enabled_ = opcode == 0x66;
        if (is_read(opcode)) {
            open_read(opcode);
        } else if (status_read(opcode) >= 0) {
            status_index_ = status_read(opcode);
            answer(kStatus);
        } else if (opcode == 0x9F) {
            answer(kIdentity);
        } else if (is_program(opcode) || is_erase(opcode)) {
            if (!enabled_)
                return ignore(command(opcode) + " without write enable (06h)");
            if (opcode == 0x32 && !(status_[1] & 0x02))
                return ignore("command 32h: the quad-enable bit is 0");
            state_ = kAddress;
            left_ = 24;
        } else if (status_write(opcode) >= 0) {
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
            std::memcpy(status_, stored_, sizeof status_);
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
            return ignore(command(opcode) + ": the flash is not a W25Q128JV-DTR");
        if (is_quad(opcode) && !(status_[1] & 0x02))
            return ignore(command(opcode) + ": the quad-enable bit is 0");
        if (opcode == 0x03 && opt_.clock_mhz > 50)
            refuse("command 03h: clock above 50 MHz");
        if (dtr() && opt_.clock_mhz > 66)
            refuse("command EDh: clock above 66 MHz");
        state_ = kAddress;
        lines_ = is_quad_io(opcode) ? 4 : 1;
        left_ = 24 / lines_;
    }

    void after_address() {
        shift_ = 0;
        if (is_erase(opcode_)) {
            state_ = kErase;
        } else if (is_program(opcode_)) {
            lines_ = opcode_ == 0x32 ? 4 : 1;
            state_ = kWrite;
            left_ = 8 / lines_;
        } else if (is_quad_io(opcode_)) {
            state_ = kMode;
            left_ = 2;
        } else {
            enter_dummy();
        }
    }

    void enter_dummy() {
        left_ = opcode_ == 0x03 ? 0 : opcode_ == 0xEB ? 4 : dtr() ? 7 : 8;
        state_ = kDummy;
        if (left_ == 0)
            enter_read();
    }

    void enter_read() {
        state_ = kRead;
        lines_ = is_quad(opcode_) ? 4 : 1;
    }

    void not_ready(double time, const char *why, bool busy) {
        ready_at_ = cycle() + int64_t(std::ceil(time / period_));
        why_ = why;
        busy_ = busy;
    }

    void execute() {
        if (state_ == kWrite && (left_ != 8 / lines_ || bytes_.empty()))
            return refuse(command(opcode_) + ": /CS high in the middle of a byte");
        if (status_write(opcode_) >= 0)
            return write_status(status_write(opcode_));
        enabled_ = false;
        double time;
        if (is_program(opcode_)) {
            size_t skip = bytes_.size() > 256 ? bytes_.size() - 256 : 0;
            for (size_t index = skip; index < bytes_.size(); ++index)
                array[(address_ & ~0xffu) + ((address_ + index) & 0xff)] &= bytes_[index];
            time = opt_.pp;
        } else if (is_erase(opcode_)) {
            uint32_t size = opcode_ == 0x20 ? 1u << 12 : opcode_ == 0x52 ? 1u << 15 : 1u << 16;
            std::memset(array.data() + (address_ & ~(size - 1)), 0xff, size);
            time = opcode_ == 0x20 ? opt_.se : opcode_ == 0x52 ? opt_.be1 : opt_.be2;
        } else {
            std::memset(array.data(), 0xff, kSize);
            time = opt_.ce;
        }
        not_ready(time * opt_.busy_scale, "busy", true);
    }

    void write_status(int index) {
        static const uint8_t masks[3] = {0xFC, 0x43, 0x64};
        bool permanent = enabled_;
        for (size_t k = 0; k < bytes_.size() && k < (index == 0 ? 2u : 1u); ++k) {
            uint8_t mask = masks[index + k];
            status_[index + k] = uint8_t((status_[index + k] & ~mask) | (bytes_[k] & mask));
            if (permanent)
                stored_[index + k] = status_[index + k];
        }
        if (permanent)
            not_ready(opt_.w * opt_.busy_scale, "busy", true);
        enabled_ = volatile_enabled_ = false;
    }
};

#endif
