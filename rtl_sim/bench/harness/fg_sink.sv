// SPDX-License-Identifier: Apache-2.0
// Test sink: ready in cycle n if bit n mod PERIOD of ACCEPTS is 1, for every fourth beat only when it is `willing` as well;
// finished after `count` beats.
`default_nettype none
module fg_sink #(
    parameter int PERIOD  = 1,
    parameter     ACCEPTS = "accepts.hex",
    localparam int TURN   = PERIOD > 1 ? $clog2(PERIOD) : 1
) (
    input  wire logic        clk,
    input  wire logic        rst,
    input  wire logic [63:0] cycle,
    input  wire logic [63:0] count,
    input  wire logic        willing,
    input  wire logic        valid,
    output      logic        ready,
    output      logic        finished
);
    logic accepts [0:PERIOD-1];
    initial $readmemh(ACCEPTS, accepts);

    logic [31:0] taken_q;

    assign ready    = !rst && accepts[TURN'(cycle % 64'(PERIOD))] && (willing || taken_q[1:0] != 2'd0);
    assign finished = 64'(taken_q) >= count;

    always_ff @(posedge clk) begin
        if (valid && ready) taken_q <= taken_q + 1;
        if (rst) taken_q <= '0;
    end
endmodule
`default_nettype wire
