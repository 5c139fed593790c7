// SPDX-License-Identifier: Apache-2.0
// Sum of COUNT consecutive groups of GROUP beats, beat by beat: over pixels or over frames. II = 1, latency 1.
`default_nettype none
module fg_mean #(
    parameter int  LANES    = 1,   // channels in one beat
    parameter int  IN_BITS  = 4,   // bits of an input channel
    parameter int  SIGNED   = 0,   // two's complement if 1
    parameter int  OUT_BITS = 8,   // holds every sum
    parameter int  GROUP    = 2,   // beats of one group
    parameter int  COUNT    = 16,  // groups that are summed
    localparam int ADDR     = GROUP > 1 ? $clog2(GROUP) : 1,
    localparam int TURN     = COUNT > 1 ? $clog2(COUNT) : 1
) (
    input  wire logic                      clk,
    input  wire logic                      rst,
    input  wire logic                      in_valid,
    output      logic                      in_ready,
    input  wire logic [LANES*IN_BITS-1:0]  in_data,
    output      logic                      out_valid,
    input  wire logic                      out_ready,
    output      logic [LANES*OUT_BITS-1:0] out_data
);
    logic [LANES*OUT_BITS-1:0] memory [0:GROUP-1];
    logic [LANES*OUT_BITS-1:0] stored, sum, out_q;
    logic [ADDR-1:0]           beat_q;
    logic [TURN-1:0]           turn_q;
    logic                      valid_q, take, first, last;

    assign in_ready  = out_ready || !valid_q;
    assign take      = in_valid && in_ready;
    assign first     = turn_q == '0;
    assign last      = turn_q == TURN'(COUNT - 1);
    assign stored    = memory[beat_q];
    assign out_valid = valid_q;
    assign out_data  = out_q;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [IN_BITS-1:0]  value = in_data[lane*IN_BITS +: IN_BITS];
            wire                sign  = (SIGNED != 0) && value[IN_BITS-1];
            wire [OUT_BITS-1:0] old = first ? '0 : stored[lane*OUT_BITS +: OUT_BITS];
            assign sum[lane*OUT_BITS +: OUT_BITS] = old + OUT_BITS'($signed({sign, value}));
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (take) memory[beat_q] <= sum;
        if (take) out_q <= sum;
    end

    always_ff @(posedge clk) begin
        if (in_ready) valid_q <= in_valid && last;
        if (take) begin
            beat_q <= beat_q == ADDR'(GROUP - 1) ? '0 : beat_q + 1'b1;
            if (beat_q == ADDR'(GROUP - 1)) turn_q <= last ? '0 : turn_q + 1'b1;
        end
        if (rst) begin
            valid_q <= 1'b0;
            beat_q  <= '0;
            turn_q  <= '0;
        end
    end

`ifndef SYNTHESIS
    initial if (LANES < 1 || GROUP < 1 || COUNT < 1)
        $fatal(1, "%m: LANES=%0d, GROUP=%0d and COUNT=%0d must be at least 1", LANES, GROUP, COUNT);
    initial if (IN_BITS < 1 || OUT_BITS < IN_BITS)
        $fatal(1, "%m: OUT_BITS=%0d must be at least IN_BITS=%0d", OUT_BITS, IN_BITS);
    fg_stream_check #(.BITS(LANES*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(beat_q) < GROUP && int'(turn_q) < COUNT)
    );
`endif
endmodule
`default_nettype wire
