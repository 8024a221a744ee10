// Waveforms: chosen signals of a compiled design, in a window of cycles.
//
// WAVE is defined only where waves are wanted, and the design was translated for them: as VCD, or
// with WAVE_FST as FST.  A cycle is 10 ns of the file's time; the clock rises at its beginning.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "verilated.h"
#ifdef WAVE_FST
#include "verilated_fst_c.h"
using WaveFile = VerilatedFstC;
#else
#include "verilated_vcd_c.h"
using WaveFile = VerilatedVcdC;
#endif

class Wave {
  public:
    // A signal to be recorded, by its whole name; before `open`.
    void want(const char* signal) { wanted_.emplace_back(signal); }

    // Cycles `first` to `end`, less one, of those that dump() names.
    bool open(VerilatedContext& context, const char* path, uint64_t first, uint64_t end) {
        file_ = std::make_unique<WaveFile>();
        context.trace(file_.get(), 99);
        for (const std::string& signal : wanted_) file_->dumpvars(1, signal);
        file_->set_time_unit("1ns");
        file_->set_time_resolution("1ns");
        file_->open(path);
        first_ = first;
        end_ = end;
        return file_->isOpen();
    }

    bool wants(uint64_t cycle) const { return file_ && first_ <= cycle && cycle < end_; }

    // The first or the second half of a cycle.
    void dump(uint64_t cycle, bool second) {
        if (wants(cycle)) file_->dump(10 * cycle + (second ? 5 : 0));
    }

    void close() {
        if (file_) file_->close();
        file_.reset();
    }

    ~Wave() { close(); }

  private:
    std::vector<std::string> wanted_;
    std::unique_ptr<WaveFile> file_;
    uint64_t first_ = 0, end_ = 0;
};
