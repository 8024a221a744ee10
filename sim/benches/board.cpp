// The board around the core in cocotb's simulation: the flash model at its pins and the host's
// side of the bus, called from bench.v at every clock edge.  cocotb's Python runs in the same
// process and calls the bench_ functions itself: filling the flash or reading the memory costs no
// Python per cycle.

#include <cstdint>
#include <memory>

#include "flash_model.h"
#include "host_bus.h"
#ifdef WAVE
#include "wave.h"
#endif

namespace {

std::unique_ptr<FlashModel> flash;
HostBus host;
#ifdef WAVE
Wave wave;
#endif

}  // namespace

extern "C" {

// -- for bench.v ----------------------------------------------------------------------------------

int bench_flash(int cs_n, int sck, int o, int oe) {
    return flash ? flash->step(cs_n, sck, o, oe) : 0xff;
}

// Bits 15:0 data, 31:16 address, 32 register, 33 write, 34 valid, 35 nothing left to do.
long long bench_host(int request_ready, int response_valid, int response_data) {
    host.step(request_ready, response_valid, response_data);
    const HostRequest& request = host.request();
    return static_cast<long long>(request.data) | static_cast<long long>(request.address) << 16 |
           static_cast<long long>(request.reg) << 32 | static_cast<long long>(request.write) << 33 |
           static_cast<long long>(request.valid) << 34 | static_cast<long long>(host.idle()) << 35;
}

// -- for Python -----------------------------------------------------------------------------------

// Power on: an erased flash in power-down.
void bench_power_on(double clock_mhz, double path_max, double path_min) {
    FlashOptions options;
    options.clock_mhz = clock_mhz;
    options.path_max = path_max;
    options.path_min = path_min;
    options.strict = false;
    flash.reset(new FlashModel(options));
    host.clear();
}

void bench_load_flash(uint32_t address, const uint8_t* data, uint32_t count) {
    flash->load(address, data, count);
}

// The flash's first refusal, or an empty string.
const char* bench_flash_error() {
    return flash && !flash->errors.empty() ? flash->errors.front().c_str() : "";
}

void bench_push(int write, int reg, uint32_t address, const uint16_t* data, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) host.push(write, reg, address + i, write ? data[i] : 0);
}

#ifdef WAVE
void bench_wave_want(const char* signal) { wave.want(signal); }

int bench_wave_open(const char* path, uint64_t first, uint64_t end) {
    return wave.open(*Verilated::defaultContextp(), path, first, end);
}

void bench_wave_dump(uint64_t cycle, int second) { wave.dump(cycle, second); }
void bench_wave_close() { wave.close(); }
#endif

uint32_t bench_take(uint16_t* data, uint32_t room) {
    const uint32_t count = host.answers.size() < room ? host.answers.size() : room;
    for (uint32_t i = 0; i < count; ++i) data[i] = host.answers[i];
    host.answers.clear();
    return count;
}
}
