// The simulated board (board.h) behind a C interface that Python loads with ctypes.  One call runs
// many cycles.

#include "board.h"

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
