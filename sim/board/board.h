// The simulated board: the compiled core with the flash model at its pins, cycle by cycle.
//
// Vtop is the core as Verilator translated it; sim/board/verilate.py writes memories.inc, which says
// which of its variables are the activation memory.  With PADS it is a netlist of a whole FPGA, and
// there are only its pads (netlist.v).
#ifndef SEPARABLE_SIM_BOARD_H
#define SEPARABLE_SIM_BOARD_H

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "flash_model.h"
#include "host_bus.h"
#include "memories.inc"
#include "uart.h"
#include "verilated.h"
#ifdef WAVE
#include "wave.h"
#endif

namespace {

enum Status : int { OK = 0, LAYER = 1, LIMIT = 2, FAILED = 3 };

// Cycles that a transfer on the host's bus may take before the core counts as dead.  The bus has
// the lowest priority on the activation memory.
constexpr uint64_t BUS_PATIENCE = 100000;

// Cycles at power-on in which the design is in reset: of the netlist's PLL (netlist.v), which locks
// for good in cycle 1023, and of the counter behind its lock.
#ifdef PADS
constexpr uint64_t RESET_CYCLES = 1023 + 1024;
#else
constexpr uint64_t RESET_CYCLES = 16;
#endif

// What the host does when so many layers are done: writes on its bus, one every few cycles.
struct Feed {
    uint64_t after, pace;
    std::deque<HostRequest> writes;
};

struct Board {
    VerilatedContext context;
    std::unique_ptr<Vtop> top;
    FlashModel flash;
    HostBus host;
    Uart uart;
    uint64_t cycle = 0;
    uint64_t start = 0;
    bool layer = false;
    std::string error;
    std::vector<uint64_t> layers;
    // Layers done since the start.
    uint64_t done = 0;
    std::deque<Feed> feeds;
    uint64_t next_feed = 0;
    // Times on the way from the flash, at most and at least, by the design's capture clock.
    std::vector<std::pair<double, double>> taps;
    unsigned tap = 0;
#ifdef WAVE
    // Cycles of the file are counted from here.
    uint64_t origin = 0;
    Wave wave;
#endif

    static FlashOptions options(double clock_mhz, double path_max, double path_min, bool dtr,
                                uint32_t size) {
        FlashOptions options;
        options.dtr = dtr;
        options.size = size;
        options.clock_mhz = clock_mhz;
        options.path_max = path_max;
        options.path_min = path_min;
        options.reset_cycles = RESET_CYCLES;
        options.strict = false;  // refusals are looked for between calls, not thrown through C
        return options;
    }

    Board(uint64_t seed, const FlashOptions& options) : flash(options) {
        // Before the model is made: this decides what registers without a reset hold.
        context.randReset(2);
        context.randSeed(static_cast<int>(seed & 0x7fffffff) + 1);
#ifdef WAVE
        context.traceEverOn(true);
#endif
        top = std::make_unique<Vtop>(&context, "top");
        top->clk = 0;
#ifdef PADS
        top->late = 0;
        top->uart_rx = 1;
        top->flash_dq = 0xf;
#else
        top->uart_rx = 3;
        top->rst = 1;
        top->flash_i = 0xff;
#endif
        top->eval();
        // Some memory models clear themselves; the chip's memories hold anything after power-on.
        std::mt19937_64 random(seed);
        for (unsigned m = 0; m < memories().size(); ++m)
            for (unsigned a = 0; a < DEPTH; ++a) memories()[m][a] = random() & 0xffff;
#ifndef PADS
        run(RESET_CYCLES);
        top->rst = 0;
        run(1);
#endif
    }

    ~Board() { top->final(); }

    std::vector<uint16_t*> memories() {
        auto* root = top->rootp;
        return {MEMORIES};
    }

#ifdef PADS
    unsigned captured = 0xf;

    // What the flash makes of half a cycle's levels on the pads: what it drives is what the IO
    // cells' input registers capture at the next edge of the clock.
    void half_step() {
        flash.half_step(top->flash_cs_n, top->flash_sck, top->flash_dq__out, top->flash_dq__en);
        captured = flash.lines();
    }

    // An edge of the core's clock, and the same one of the capture clock, which is later: only then
    // the flash's lines are what it says, and before that they are something else.  A design that
    // captures with the core's clock has no other.
    void edge(bool level) {
        half_step();
        top->uart_rx = uart.step(top->uart_tx);
        top->clk = level;
#ifdef ONE_CLOCK
        top->flash_dq = captured;
#else
        top->flash_dq = ~captured & 0xf;
#endif
        top->eval();
        top->flash_dq = captured;
        top->late = level;
        top->eval();
    }

    // One cycle, from the falling edge's half on.
    void step() {
        edge(true);
        edge(false);
        ++cycle;
    }
#else
    // One cycle: flash and host take what was on their pins before the clock edge, and what they
    // answer is there after it.
    void step() {
        layer = top->layer_done;
        if (!taps.empty() && top->tap != tap) choose(top->tap);
        top->flash_i = flash.step(top->flash_cs_n, top->flash_sck, top->flash_o, top->flash_oe);
        host.step(top->request_ready, top->response_valid, top->response_data);
        const HostRequest& request = host.request();
        top->request_valid = request.valid;
        top->request_write = request.write;
        top->request_register = request.reg;
        top->request_address = request.address;
        top->request_data = request.data;
        const unsigned levels = top->uart_tx;
        const unsigned first = uart.step(levels & 1);
        top->uart_rx = first | unsigned(uart.step(levels >> 1)) << 1;
        top->clk = 1;
        top->eval();
        look(false);
        top->clk = 0;
        top->eval();
        look(true);
        ++cycle;
        if (layer) {
            layers.push_back(cycle);
            ++done;
        }
    }
#endif

    // The design has another capture clock from now on.
    void choose(unsigned number) {
        tap = number;
        const auto& path = taps[number < taps.size() ? number : taps.size() - 1];
        flash.go_by(path.first, path.second);
    }

    // What a wave gets of half a cycle.
    void look(bool second) {
#ifdef WAVE
        if (cycle >= origin) wave.dump(cycle - origin, second);
#endif
    }

    // The host's next write, if it is due.
    void feed() {
        if (feeds.empty() || cycle < next_feed || !host.idle()) return;
        Feed& next = feeds.front();
        if (done < next.after) return;
        const HostRequest& write = next.writes.front();
        host.push(true, write.reg, write.address, write.data);
        next_feed = cycle + next.pace;
        next.writes.pop_front();
        if (next.writes.empty()) feeds.pop_front();
    }

    bool failed() {
        if (error.empty() && !flash.errors.empty()) error = "flash: " + flash.errors.front();
        return !error.empty();
    }

    int run(uint64_t cycles) {
        for (uint64_t i = 0; i < cycles; ++i) step();
        return failed() ? FAILED : OK;
    }

    // A layer is done when its last result sets out for memory; it arrives in the last slice as
    // many cycles later as there are slices.  The next layer's first result comes much later.
    void settle() {
        for (size_t i = 0; i < memories().size() + 2; ++i) {
            // Time is not otherwise for being looked at.
            feed();
            step();
        }
    }

    // Until the core is idle; with `stop`, until the next end of a layer.
    int wait(uint64_t limit, bool stop) {
        for (uint64_t i = 0; i < limit; ++i) {
            if (!top->busy) return failed() ? FAILED : OK;
            feed();
            step();
            if (stop && layer) {
                settle();
                return failed() ? FAILED : LAYER;
            }
            if ((i & 0xff) == 0 && failed()) return FAILED;
        }
        return failed() ? FAILED : top->busy ? LIMIT : OK;
    }

    // `count` halfwords from `address` on: memory, or consecutive registers.
    int transfer(bool write, bool reg, unsigned address, uint16_t* data, unsigned count) {
#ifdef PADS
        error = "the host's bus is inside the chip";
        return FAILED;
#endif
        host.clear();
        for (unsigned i = 0; i < count; ++i)
            host.push(write, reg, address + i, write ? data[i] : 0);
        while (!host.idle() && host.quiet() < BUS_PATIENCE) step();
        const bool dead = !host.idle();
        if (dead) {
            if (error.empty()) error = "the core does not answer on the host's bus";
        } else if (!write) {
            std::memcpy(data, host.answers.data(), count * sizeof *data);
        }
        host.clear();
        return failed() ? FAILED : OK;
    }
};

}  // namespace

#endif
