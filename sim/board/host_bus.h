// The host on the core's bus, one clock cycle at a time: a queue of requests, the data read.
#ifndef SEPARABLE_SIM_HOST_BUS_H
#define SEPARABLE_SIM_HOST_BUS_H

#include <cstdint>
#include <deque>
#include <vector>

struct HostRequest {
    bool valid, write, reg;
    uint16_t address, data;
};

class HostBus {
public:
    // Data of the reads that were answered.
    std::vector<uint16_t> answers;

    void push(bool write, bool reg, uint16_t address, uint16_t data) {
        queue_.push_back({true, write, reg, address, data});
    }

    // What the bus carries in this cycle; responses are always accepted.
    const HostRequest &request() {
        static const HostRequest none{};
        driven_ = !queue_.empty();
        return driven_ ? queue_.front() : none;
    }

    // The clock edge: what the core put on the bus before it.
    void step(bool request_ready, bool response_valid, uint16_t response_data) {
        if (request_ready && driven_) {
            if (!queue_.front().write)
                ++awaited_;
            queue_.pop_front();
            driven_ = false;
            quiet_ = 0;
        }
        if (response_valid && awaited_) {
            answers.push_back(response_data);
            --awaited_;
            quiet_ = 0;
        }
        ++quiet_;
    }

    bool idle() const { return queue_.empty() && !awaited_; }

    // Cycles since anything was accepted or answered.
    uint64_t quiet() const { return quiet_; }

    void clear() {
        queue_.clear();
        answers.clear();
        awaited_ = 0;
        quiet_ = 0;
        driven_ = false;
    }

private:
    std::deque<HostRequest> queue_;
    // A request may be queued while the bus still carries nothing.
    bool driven_ = false;
    unsigned awaited_ = 0;
    uint64_t quiet_ = 0;
};

#endif
