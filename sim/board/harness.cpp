// The simulated board: the compiled core with the flash model at its pins, behind a C interface
// that Python loads with ctypes.  One call runs many cycles.
//
// Vtop is the core as Verilator translated it; sim/board/verilate.py writes memories.inc, which says
// which of its variables are the activation memory.  With PADS it is a netlist of a whole FPGA, and
// there are only its pads (netlist.v).

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

extern "C" {

Board* board_create(uint64_t seed, double clock_mhz, double path_max, double path_min, int dtr,
                    uint32_t size) {
    return new Board(seed, Board::options(clock_mhz, path_max, path_min, dtr, size));
}
void board_destroy(Board* board) { delete board; }

// The first error since the last call, or an empty string.
const char* board_error(Board* board) {
    static thread_local std::string text;
    board->failed();
    text = board->error;
    board->error.clear();
    board->flash.errors.clear();
    return text.c_str();
}

int board_flash_write(Board* board, uint32_t offset, const uint8_t* data, uint32_t count) {
    const size_t size = board->flash.array.size();
    if (offset > size || count > size - offset) return FAILED;
    board->flash.load(offset, data, count);
    return OK;
}

int board_flash_read(Board* board, uint32_t offset, uint8_t* data, uint32_t count) {
    const size_t size = board->flash.array.size();
    if (offset > size || count > size - offset) return FAILED;
    std::memcpy(data, board->flash.array.data() + offset, count);
    return OK;
}

int board_transfer(Board* board, int write, int reg, uint32_t address, uint16_t* data,
                   uint32_t count) {
    return board->transfer(write, reg, address, data, count);
}

// From now on the flash's lines have faults.
void board_flash_faults(Board* board, double flip, uint32_t high, uint32_t low, uint32_t late,
                        uint64_t seed) {
    board->flash.have(FlashFaults{flip, uint8_t(high), uint8_t(low), uint8_t(late), seed});
}

// The design chooses between capture clocks; arguments as for board_create, one for each.
void board_taps(Board* board, uint32_t count, const double* path_max, const double* path_min) {
    for (uint32_t i = 0; i < count; ++i) board->taps.push_back({path_max[i], path_min[i]});
    board->choose(0);
}

// Half cycles per bit, at the host's end, from now on.
void board_uart_divisor(Board* board, double divisor) { board->uart.set_divisor(divisor); }

// Send bytes, not before a cycle; they are on the line when the clock runs.
void board_uart_send(Board* board, const uint8_t* data, uint32_t count, uint64_t start) {
    for (uint32_t i = 0; i < count; ++i) board->uart.send(data[i], 2 * start);
}

int board_uart_idle(Board* board) { return board->uart.idle(); }

// Run until a byte is there that was received `age` cycles ago, or for so many cycles.  Take all
// that are that old, at most `room`.
uint32_t board_uart_receive(Board* board, uint8_t* data, uint32_t room, uint64_t limit,
                            uint64_t age) {
    auto& received = board->uart.received;
    const auto ready = [&] {
        return !received.empty() && received.front().time + 2 * age <= board->uart.time();
    };
    while (!ready() && limit--) board->step();
    uint32_t taken = 0;
    for (; taken < room && ready(); ++taken) {
        data[taken] = received.front().byte;
        received.pop_front();
    }
    return taken;
}


// A program is going to be started.
void board_begin(Board* board) {
    board->layers.clear();
    board->feeds.clear();
    board->done = 0;
}

// While board_wait runs and once so many layers are done: write halfwords, then a register.
void board_feed(Board* board, uint64_t after, uint64_t pace, uint32_t address,
                const uint16_t* data, uint32_t count, uint32_t reg, uint16_t value) {
    Feed feed{after, pace, {}};
    for (uint32_t i = 0; i < count; ++i)
        feed.writes.push_back({true, true, false, static_cast<uint16_t>(address + i), data[i]});
    feed.writes.push_back({true, true, true, static_cast<uint16_t>(reg), value});
    board->feeds.push_back(feed);
}

#ifdef WAVE
void board_wave_want(Board* board, const char* signal) { board->wave.want(signal); }

// Record cycles `first` to `end`, less one, counted from `origin` of the board's.
int board_wave_open(Board* board, const char* path, uint64_t origin, uint64_t first,
                    uint64_t end) {
    board->origin = origin;
    return board->wave.open(board->context, path, first, end) ? OK : FAILED;
}

void board_wave_close(Board* board) { board->wave.close(); }
#endif

int board_run(Board* board, uint64_t cycles) { return board->run(cycles); }
int board_wait(Board* board, uint64_t limit, int stop) { return board->wait(limit, stop); }
int board_busy(Board* board) { return board->top->busy; }
uint64_t board_cycle(Board* board) { return board->cycle; }

// The cycles at whose ends layers were done, and forgets them.
uint32_t board_layers(Board* board, uint64_t* cycles, uint32_t room) {
    const uint32_t count = board->layers.size();
    for (uint32_t i = 0; i < count && i < room; ++i) cycles[i] = board->layers[i];
    if (count <= room) board->layers.clear();
    return count;
}

// The activation memory, slice after slice.
void board_memory(Board* board, uint16_t* data) {
    for (const uint16_t* memory : board->memories()) {
        std::memcpy(data, memory, DEPTH * sizeof(uint16_t));
        data += DEPTH;
    }
}

void board_memory_replace(Board* board, const uint16_t* data) {
    for (uint16_t* memory : board->memories()) {
        std::memcpy(memory, data, DEPTH * sizeof(uint16_t));
        data += DEPTH;
    }
}
}
