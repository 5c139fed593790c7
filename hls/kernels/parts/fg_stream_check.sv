// SPDX-License-Identifier: Apache-2.0
// What every simulation asserts of a stream, and of the module that drives it: an offered beat stays, unchanged, until it
// is taken, and its counters stay in range. Nothing of it is synthesized.
`default_nettype none
module fg_stream_check #(
    parameter int BITS = 8,     // of a beat
    parameter     NAME = "out"  // of the stream
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            valid,
    input  wire logic            ready,
    input  wire logic [BITS-1:0] data,
    input  wire logic            in_range  // what the module counts; what is unknown is not judged
);
`ifndef SYNTHESIS
    logic            begun_q, waits_q;  // there has been a reset; a beat was offered and not taken
    logic [BITS-1:0] offered_q;

    initial begun_q = 1'b0;
    initial waits_q = 1'b0;

    always @(posedge clk) begin
        if (rst) begun_q <= 1'b1;
        waits_q   <= begun_q && valid && !ready && !rst;
        offered_q <= data;
        if (waits_q && !rst && !(valid === 1'b1 && data === offered_q))
            $fatal(1, "stream %0s: beat %h was withdrawn or changed while it waited, at time %0d, in %m", NAME, offered_q, $time);
        if (begun_q && !rst && in_range === 1'b0)
            $fatal(1, "stream %0s: a counter behind it left its range, at time %0d, in %m", NAME, $time);
    end
`endif
endmodule
`default_nettype wire
