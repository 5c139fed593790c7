// SPDX-License-Identifier: Apache-2.0
// Concatenation: LEFT_BEATS beats of one stream, then RIGHT_BEATS of the other, pixel by pixel. II = 1, latency 1.
`default_nettype none
module fg_concat #(
    parameter int LANES        = 1,  // channels in one beat
    parameter int LEFT_BITS    = 4,  // bits of a channel
    parameter int LEFT_SIGNED  = 0,  // two's complement if 1
    parameter int LEFT_BEATS   = 4,  // beats of a pixel
    parameter int RIGHT_BITS   = 4,
    parameter int RIGHT_SIGNED = 0,
    parameter int RIGHT_BEATS  = 4,
    parameter int OUT_BITS     = 4,  // holds every value of both
    localparam int BEATS       = LEFT_BEATS + RIGHT_BEATS,
    localparam int BEAT        = $clog2(BEATS)
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
    logic [BEAT-1:0]           beat_q;
    logic                      room, from_right, offered, valid_q;
    logic [LANES*OUT_BITS-1:0] left_wide, right_wide, out_q;

    assign room        = out_ready || !valid_q;
    assign from_right  = beat_q >= BEAT'(LEFT_BEATS);
    assign offered     = from_right ? right_valid : left_valid;
    assign left_ready  = room && !from_right;
    assign right_ready = room && from_right;
    assign out_valid   = valid_q;
    assign out_data    = out_q;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [LEFT_BITS-1:0]  left  = left_data[lane*LEFT_BITS +: LEFT_BITS];
            wire [RIGHT_BITS-1:0] right = right_data[lane*RIGHT_BITS +: RIGHT_BITS];
            wire left_sign  = (LEFT_SIGNED != 0) && left[LEFT_BITS-1];
            wire right_sign = (RIGHT_SIGNED != 0) && right[RIGHT_BITS-1];
            assign left_wide[lane*OUT_BITS +: OUT_BITS]  = OUT_BITS'($signed({left_sign, left}));
            assign right_wide[lane*OUT_BITS +: OUT_BITS] = OUT_BITS'($signed({right_sign, right}));
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (room) begin
            out_q   <= from_right ? right_wide : left_wide;
            valid_q <= offered;
        end
        if (room && offered) beat_q <= beat_q == BEAT'(BEATS - 1) ? '0 : beat_q + 1'b1;
        if (rst) begin
            valid_q <= 1'b0;
            beat_q  <= '0;
        end
    end

`ifndef SYNTHESIS
    initial if (LANES < 1 || LEFT_BITS < 1 || RIGHT_BITS < 1 || LEFT_BEATS < 1 || RIGHT_BEATS < 1)
        $fatal(1, "%m: LANES=%0d, LEFT_BITS=%0d, RIGHT_BITS=%0d, LEFT_BEATS=%0d and RIGHT_BEATS=%0d must be at least 1",
               LANES, LEFT_BITS, RIGHT_BITS, LEFT_BEATS, RIGHT_BEATS);
    fg_stream_check #(.BITS(LANES*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(beat_q) < BEATS)
    );
`endif
endmodule
`default_nettype wire
