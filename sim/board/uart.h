// The host's end of a serial line, 8N1, half a core clock at a time.
#ifndef SEPARABLE_SIM_UART_H
#define SEPARABLE_SIM_UART_H

#include <cstdint>
#include <deque>

class Uart {
public:
    struct Received {
        uint8_t byte;
        uint64_t time;
    };

    // Bytes received, with the half clock at which their stop bit was looked at.  What a stop bit
    // is missing from is received, too: at a wrong rate the line carries garbage.
    std::deque<Received> received;

    // Half clocks per bit, not necessarily a whole number: from now on, in both directions.
    void set_divisor(double divisor) { divisor_ = divisor; }

    // Send a byte, not before a moment.
    void send(uint8_t byte, uint64_t start) {
        level(0, 1, start);
        for (int i = 0; i < 8; ++i) level(byte >> i & 1, 1);
        level(1, 1);
    }

    // Hold the line at a level for some bits.
    void level(bool value, double bits, uint64_t start = 0) {
        queue_.push_back({value, bits * divisor_, start});
    }

    bool idle() const { return queue_.empty(); }
    uint64_t time() const { return time_; }

    // Half a clock: what the device sends in it; returns what it receives.
    bool step(bool line) {
        ++time_;
        listen(line);
        if (queue_.empty() || (ahead_ <= 0 && queue_.front().start > time_)) {
            ahead_ = 0;
            return true;
        }
        const bool value = queue_.front().value;
        // A level that ends within a half clock leaves the rest of it to the next one.
        ahead_ += 1;
        while (!queue_.empty() && ahead_ > queue_.front().length - 0.5) {
            ahead_ -= queue_.front().length;
            queue_.pop_front();
            if (!queue_.empty() && queue_.front().start > time_) {
                ahead_ = 0;
                break;
            }
        }
        return value;
    }

private:
    struct Level {
        bool value;
        double length;
        uint64_t start;
    };

    void listen(bool line) {
        if (!active_) {
            active_ = !line && was_high_;
            was_high_ = line;
            clock_ = bit_ = 0;
            shift_ = 0;
            if (!active_) return;
        }
        // Samples in the middle of the bits: 0 is the start bit, 9 the stop bit.
        if (clock_ == unsigned((bit_ + 0.5) * divisor_)) {
            const unsigned bit = bit_++;
            if (bit == 0 && line) active_ = false;
            if (bit >= 1 && bit <= 8) shift_ |= unsigned(line) << (bit - 1);
            if (bit == 9) {
                received.push_back({uint8_t(shift_), time_});
                active_ = false;
            }
            was_high_ = line;
        }
        ++clock_;
    }

    std::deque<Level> queue_;
    double divisor_ = 20, ahead_ = 0;
    uint64_t time_ = 0;
    unsigned clock_ = 0, bit_ = 0, shift_ = 0;
    bool active_ = false, was_high_ = true;
};

#endif
