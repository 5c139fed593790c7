// SPDX-License-Identifier: Apache-2.0
// The bench's clock and reset without cocotb: main LIMIT LINGER. As drive.py: run until `finished`, at most LIMIT cycles,
// and LINGER cycles more, in which a surplus beat would show. Exit status 1 when beats are missing.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "Vbench.h"
#include "verilated.h"

int main(int argc, char **argv) {
    const uint64_t limit = std::strtoull(argv[1], nullptr, 10), linger = std::strtoull(argv[2], nullptr, 10);
    auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    auto bench = std::make_unique<Vbench>(context.get());
    const auto cycles = [&](uint64_t count) {
        for (uint64_t n = 0; n < count && !context->gotFinish(); ++n) {
            for (const int level : {1, 0}) {
                bench->clk = level;
                bench->eval();
                context->timeInc(5);
            }
        }
    };
    bench->clk = 0;
    bench->rst = 1;
    bench->close = 0;
    bench->eval();
    cycles(4);
    bench->rst = 0;
    for (uint64_t n = 0; n < limit && !bench->finished && !context->gotFinish(); ++n) cycles(1);
    cycles(linger);
    bench->close = 1;
    cycles(4);
    bench->final();
    if (!bench->finished) std::cerr << "beats are missing after " << limit << " cycles" << std::endl;
    return bench->finished ? 0 : 1;
}
