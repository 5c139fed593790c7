// SPDX-License-Identifier: Apache-2.0
// Sliding sum: after every STEP frames the sum of the last WINDOW frames, beat by beat; frames before the first are
// zero. II = 1, latency 1.
`default_nettype none
module fg_sliding_mean #(
    parameter int  LANES    = 1,  // channels in one beat
    parameter int  IN_BITS  = 4,  // bits of an input channel
    parameter int  SIGNED   = 0,  // two's complement if 1
    parameter int  OUT_BITS = 8,  // holds every sum
    parameter int  BEATS    = 2,  // of a frame
    parameter int  STEP     = 1,  // frames from one sum to the next
    parameter int  WINDOW   = 8,  // frames that are summed
    localparam int DEPTH    = WINDOW * BEATS,
    localparam int ADDR     = DEPTH > 1 ? $clog2(DEPTH) : 1,
    localparam int BEAT     = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int TURN     = STEP > 1 ? $clog2(STEP) : 1
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
    logic [LANES*IN_BITS-1:0]  frames [0:DEPTH-1];  // ring of the last WINDOW frames
    logic [LANES*OUT_BITS-1:0] sums [0:BEATS-1];
    logic [LANES*IN_BITS-1:0]  oldest;
    logic [LANES*OUT_BITS-1:0] stored, sum, out_q;
    logic [ADDR-1:0]           here_q;
    logic [BEAT-1:0]           beat_q;
    logic [TURN-1:0]           turn_q;
    logic                      begun_q, full_q;  // a frame, WINDOW frames have come since reset
    logic                      take, last_beat, last_turn, valid_q;

    assign in_ready  = out_ready || !valid_q;
    assign take      = in_valid && in_ready;
    assign last_beat = beat_q == BEAT'(BEATS - 1);
    assign last_turn = turn_q == TURN'(STEP - 1);
    assign oldest    = frames[here_q];
    assign stored    = sums[beat_q];
    assign out_valid = valid_q;
    assign out_data  = out_q;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [IN_BITS-1:0] value = in_data[lane*IN_BITS +: IN_BITS];
            wire [IN_BITS-1:0] gone  = oldest[lane*IN_BITS +: IN_BITS];
            wire value_sign = (SIGNED != 0) && value[IN_BITS-1];
            wire gone_sign  = (SIGNED != 0) && gone[IN_BITS-1];
            wire [OUT_BITS-1:0] plus  = OUT_BITS'($signed({value_sign, value}));
            wire [OUT_BITS-1:0] minus = OUT_BITS'($signed({gone_sign, gone}));
            assign sum[lane*OUT_BITS +: OUT_BITS] = (begun_q ? stored[lane*OUT_BITS +: OUT_BITS] : '0)
                + plus - (full_q ? minus : '0);
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (take) begin
            frames[here_q] <= in_data;
            sums[beat_q]   <= sum;
            out_q          <= sum;
        end
    end

    always_ff @(posedge clk) begin
        if (in_ready) valid_q <= in_valid && last_turn;
        if (take) begin
            here_q <= here_q == ADDR'(DEPTH - 1) ? '0 : here_q + 1'b1;
            beat_q <= last_beat ? '0 : beat_q + 1'b1;
            if (last_beat) begin
                turn_q  <= last_turn ? '0 : turn_q + 1'b1;
                begun_q <= 1'b1;
            end
            if (here_q == ADDR'(DEPTH - 1)) full_q <= 1'b1;
        end
        if (rst) begin
            valid_q <= 1'b0;
            here_q  <= '0;
            beat_q  <= '0;
            turn_q  <= '0;
            begun_q <= 1'b0;
            full_q  <= 1'b0;
        end
    end

`ifndef SYNTHESIS
    initial if (LANES < 1 || BEATS < 1 || STEP < 1 || WINDOW < 1)
        $fatal(1, "%m: LANES=%0d, BEATS=%0d, STEP=%0d and WINDOW=%0d must be at least 1", LANES, BEATS, STEP, WINDOW);
    initial if (IN_BITS < 1 || OUT_BITS < IN_BITS)
        $fatal(1, "%m: OUT_BITS=%0d must be at least IN_BITS=%0d", OUT_BITS, IN_BITS);
    fg_stream_check #(.BITS(LANES*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(here_q) < DEPTH && int'(beat_q) < BEATS && int'(turn_q) < STEP)
    );
`endif
endmodule
`default_nettype wire
