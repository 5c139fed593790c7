// SPDX-License-Identifier: Apache-2.0
// Adds terms up, the first one to `start`. II = 1, latency 1.
`default_nettype none
module fg_accumulator #(
    parameter int BITS = 16  // two's complement, holds every sum
) (
    input  wire logic                   clk,
    input  wire logic                   move,   // the registers take what comes
    input  wire logic                   add,    // a term is there
    input  wire logic                   first,  // it is the first of a sum
    input  wire logic signed [BITS-1:0] start,
    input  wire logic signed [BITS-1:0] term,
    output      logic signed [BITS-1:0] total
);
    logic signed [BITS-1:0] total_q;

    assign total = total_q;

    always_ff @(posedge clk) begin
        if (move && add) total_q <= (first ? start : total_q) + term;
    end

`ifndef SYNTHESIS
    initial if (BITS < 1)
        $fatal(1, "%m: BITS=%0d must be at least 1", BITS);
`endif
endmodule
`default_nettype wire
