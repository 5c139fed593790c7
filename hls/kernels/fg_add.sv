// SPDX-License-Identifier: Apache-2.0
// Residual addition: waits for a beat of each branch, adds lane by lane. II = 1, latency 1.
`default_nettype none
module fg_add #(
    parameter int LANES        = 1,  // channels in one beat
    parameter int LEFT_BITS    = 4,  // bits of a channel of the left branch
    parameter int LEFT_SIGNED  = 1,  // two's complement if 1
    parameter int RIGHT_BITS   = 4,
    parameter int RIGHT_SIGNED = 1,
    parameter int OUT_BITS     = 5   // holds every sum
) (
    input  wire logic                        clk,
    input  wire logic                        rst,
    input  wire logic                        left_valid,
    output      logic                        left_ready,
    input  wire logic [LANES*LEFT_BITS-1:0]  left_data,
    input  wire logic                        right_valid,
    output      logic                        right_ready,
    input  wire logic [LANES*RIGHT_BITS-1:0] right_data,
    output      logic                        out_valid,
    input  wire logic                        out_ready,
    output      logic [LANES*OUT_BITS-1:0]   out_data
);
    logic                      valid_q;
    logic [LANES*OUT_BITS-1:0] sum_d, sum_q;
    logic                      room;

    assign room        = out_ready || !valid_q;
    assign left_ready  = room && right_valid;
    assign right_ready = room && left_valid;
    assign out_valid   = valid_q;
    assign out_data    = sum_q;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [LEFT_BITS-1:0]  left  = left_data[lane*LEFT_BITS +: LEFT_BITS];
            wire [RIGHT_BITS-1:0] right = right_data[lane*RIGHT_BITS +: RIGHT_BITS];
            wire left_sign  = (LEFT_SIGNED != 0) && left[LEFT_BITS-1];
            wire right_sign = (RIGHT_SIGNED != 0) && right[RIGHT_BITS-1];
            assign sum_d[lane*OUT_BITS +: OUT_BITS] =
                OUT_BITS'($signed({left_sign, left})) + OUT_BITS'($signed({right_sign, right}));
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (room) begin
            sum_q   <= sum_d;
            valid_q <= left_valid && right_valid;
        end
        if (rst) valid_q <= 1'b0;
    end

`ifndef SYNTHESIS
    initial if (LANES < 1 || LEFT_BITS < 1 || RIGHT_BITS < 1 || OUT_BITS < 1)
        $fatal(1, "%m: LANES=%0d, LEFT_BITS=%0d, RIGHT_BITS=%0d and OUT_BITS=%0d must be at least 1",
               LANES, LEFT_BITS, RIGHT_BITS, OUT_BITS);
    fg_stream_check #(.BITS(LANES*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(1'b1)
    );
`endif
endmodule
`default_nettype wire
