// The host's end of a serial line, 8N1, one core clock at a time.
#ifndef SEPARABLE_SIM_UART_H
#define SEPARABLE_SIM_UART_H

#include <cstdint>
#include <deque>

class Uart {
public:
    // Bytes received; a byte whose stop bit was low is dropped.
    std::deque<uint8_t> received;

    // Clocks per bit, not necessarily a whole number.
    void set_divisor(double divisor) { divisor_ = divisor; }

    void send(uint8_t byte) { level(0, 1), bits(byte), level(1, 1); }

    // Hold the line at a level for some bits.
    void level(bool value, uint64_t bits) { queue_.push_back({value, double(bits)}); }

    bool idle() const { return queue_.empty(); }

    // One clock: what the device sends in it; returns what it receives.
    bool step(bool line) {
        listen(line);
        if (queue_.empty()) {
            ahead_ = 0;
            return true;
        }
        const bool value = queue_.front().value;
        // A level that ends within a clock leaves the rest of the clock to the next one.
        ahead_ += 1;
        while (!queue_.empty() && ahead_ > queue_.front().bits * divisor_ - 0.5) {
            ahead_ -= queue_.front().bits * divisor_;
            queue_.pop_front();
        }
        return value;
    }

private:
    struct Level {
        bool value;
        double bits;
    };

    void bits(uint8_t byte) {
        for (int i = 0; i < 8; ++i) level(byte >> i & 1, 1);
    }

    void listen(bool line) {
        if (!active_) {
            active_ = !line;
            clock_ = bit_ = 0;
            shift_ = 0;
            if (line) return;
        }
        // Samples in the middle of the bits: 0 is the start bit, 9 the stop bit.
        if (clock_ == unsigned((bit_ + 0.5) * divisor_)) {
            const unsigned bit = bit_++;
            if (bit >= 1 && bit <= 8) shift_ |= unsigned(line) << (bit - 1);
            if (bit == 9) {
                if (line) received.push_back(uint8_t(shift_));
                active_ = false;
            }
        }
        ++clock_;
    }

    std::deque<Level> queue_;
    double divisor_ = 10, ahead_ = 0;
    unsigned clock_ = 0, bit_ = 0, shift_ = 0;
    bool active_ = false;
};

#endif
