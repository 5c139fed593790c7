// SPDX-License-Identifier: Apache-2.0
// Pooling: the largest, or the sum, of TAPS consecutive beats, lane by lane. II = 1, latency 1.
`default_nettype none
module fg_pool #(
    parameter int  LANES    = 1,  // channels in one beat
    parameter int  TAPS     = 4,  // beats that make one
    parameter int  IN_BITS  = 4,  // bits of an input channel
    parameter int  SIGNED   = 0,  // two's complement if 1
    parameter int  OUT_BITS = 4,  // holds every result
    parameter int  SUM      = 0,  // 1: the sum, not the largest
    localparam int TAP      = TAPS > 1 ? $clog2(TAPS) : 1
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
    logic [TAP-1:0]            tap_q;
    logic                      take, first, last, valid_q;
    logic [LANES*OUT_BITS-1:0] pooled_d, pooled_q;

    assign in_ready  = out_ready || !valid_q;
    assign take      = in_valid && in_ready;
    assign first     = tap_q == '0;
    assign last      = tap_q == TAP'(TAPS - 1);
    assign out_valid = valid_q;
    assign out_data  = pooled_q;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [IN_BITS-1:0]         value = in_data[lane*IN_BITS +: IN_BITS];
            wire                       sign  = (SIGNED != 0) && value[IN_BITS-1];
            wire signed [OUT_BITS:0]   wide  = (OUT_BITS+1)'($signed({sign, value}));
            wire [OUT_BITS-1:0]        kept  = pooled_q[lane*OUT_BITS +: OUT_BITS];
            wire                       kept_sign = (SIGNED != 0) && kept[OUT_BITS-1];
            wire signed [OUT_BITS:0]   old   = $signed({kept_sign, kept});
            wire [OUT_BITS-1:0]        new_one = OUT_BITS'(wide);
            wire [OUT_BITS-1:0]        both  = SUM != 0 ? kept + new_one : wide > old ? new_one : kept;
            assign pooled_d[lane*OUT_BITS +: OUT_BITS] = first ? new_one : both;
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (take) pooled_q <= pooled_d;
        if (take) tap_q <= last ? '0 : tap_q + 1'b1;
        if (in_ready) valid_q <= in_valid && last;
        if (rst) begin
            tap_q   <= '0;
            valid_q <= 1'b0;
        end
    end

`ifndef SYNTHESIS
    initial if (LANES < 1 || TAPS < 1)
        $fatal(1, "%m: LANES=%0d and TAPS=%0d must be at least 1", LANES, TAPS);
    initial if (IN_BITS < 1 || OUT_BITS < IN_BITS)
        $fatal(1, "%m: OUT_BITS=%0d must be at least IN_BITS=%0d", OUT_BITS, IN_BITS);
    fg_stream_check #(.BITS(LANES*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(tap_q) < TAPS)
    );
`endif
endmodule
`default_nettype wire
