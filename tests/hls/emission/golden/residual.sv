// SPDX-License-Identifier: Apache-2.0
// hand-made: 3 frames of 8 x 8 pixels of 3 channels in, 3 class logits out.
// Initiation interval 432 cycles per frame; 2134 cycles from the first pixel to the result.
// s_axis: one pixel per beat, channel 0 in the low byte, raster order, frames in time order;
// every 3 frames make a clip.
// m_axis: a 32-bit two's complement logit per class (a, b, c),
// then {alarm, class[6:0]} in the low byte of the last word.
`default_nettype none
module framegate (
    input  wire logic         clk,
    input  wire logic         rst,    // synchronous
    input  wire logic         clear,  // forget all frames that have come, also those on their way: as rst
    input  wire logic         s_axis_tvalid,
    output      logic         s_axis_tready,
    input  wire logic [23:0] s_axis_tdata,
    output      logic         m_axis_tvalid,
    input  wire logic         m_axis_tready,
    output      logic [127:0] m_axis_tdata,
    output      logic         m_axis_tlast
);
    wire pixels_valid, pixels_ready;
    wire [23:0] pixels_data;
    wire pace_valid, pace_ready;
    wire [23:0] pace_data;
    wire stem_window_width_valid, stem_window_width_ready;
    wire [7:0] stem_window_width_data;
    wire stem_window_valid, stem_window_ready;
    wire [7:0] stem_window_data;
    wire stem_window_skid_valid, stem_window_skid_ready;
    wire [7:0] stem_window_skid_data;
    wire stem_valid, stem_ready;
    wire [159:0] stem_data;
    wire stem_skid_valid, stem_skid_ready;
    wire [159:0] stem_skid_data;
    wire stem_act_valid, stem_act_ready;
    wire [31:0] stem_act_data;
    wire stage1_fork_left_valid, stage1_fork_left_ready;
    wire [31:0] stage1_fork_left_data;
    wire stage1_fork_right_valid, stage1_fork_right_ready;
    wire [31:0] stage1_fork_right_data;
    wire stage1_shift_width_valid, stage1_shift_width_ready;
    wire [3:0] stage1_shift_width_data;
    wire stage1_shift_fifo_valid, stage1_shift_fifo_ready;
    wire [3:0] stage1_shift_fifo_data;
    wire stage1_shift_valid, stage1_shift_ready;
    wire [3:0] stage1_shift_data;
    wire stage1_conv1_window_width_valid, stage1_conv1_window_width_ready;
    wire [15:0] stage1_conv1_window_width_data;
    wire stage1_conv1_window_fifo_valid, stage1_conv1_window_fifo_ready;
    wire [15:0] stage1_conv1_window_fifo_data;
    wire stage1_conv1_window_valid, stage1_conv1_window_ready;
    wire [15:0] stage1_conv1_window_data;
    wire stage1_conv1_window_skid_valid, stage1_conv1_window_skid_ready;
    wire [15:0] stage1_conv1_window_skid_data;
    wire stage1_conv1_valid, stage1_conv1_ready;
    wire [25:0] stage1_conv1_data;
    wire stage1_conv1_skid_valid, stage1_conv1_skid_ready;
    wire [25:0] stage1_conv1_skid_data;
    wire stage1_conv1_act_valid, stage1_conv1_act_ready;
    wire [7:0] stage1_conv1_act_data;
    wire stage1_conv2_window_width_valid, stage1_conv2_window_width_ready;
    wire [15:0] stage1_conv2_window_width_data;
    wire stage1_conv2_window_valid, stage1_conv2_window_ready;
    wire [15:0] stage1_conv2_window_data;
    wire stage1_conv2_window_skid_valid, stage1_conv2_window_skid_ready;
    wire [15:0] stage1_conv2_window_skid_data;
    wire stage1_conv2_valid, stage1_conv2_ready;
    wire [25:0] stage1_conv2_data;
    wire stage1_conv2_skid_valid, stage1_conv2_skid_ready;
    wire [25:0] stage1_conv2_skid_data;
    wire stage1_conv2_act_valid, stage1_conv2_act_ready;
    wire [7:0] stage1_conv2_act_data;
    wire stage1_short_window_width_valid, stage1_short_window_width_ready;
    wire [3:0] stage1_short_window_width_data;
    wire stage1_short_window_valid, stage1_short_window_ready;
    wire [3:0] stage1_short_window_data;
    wire stage1_short_window_skid_valid, stage1_short_window_skid_ready;
    wire [3:0] stage1_short_window_skid_data;
    wire stage1_short_valid, stage1_short_ready;
    wire [9:0] stage1_short_data;
    wire stage1_short_act_valid, stage1_short_act_ready;
    wire [3:0] stage1_short_act_data;
    wire stage1_add_left_width_valid, stage1_add_left_width_ready;
    wire [3:0] stage1_add_left_width_data;
    wire stage1_add_right_fifo_valid, stage1_add_right_fifo_ready;
    wire [3:0] stage1_add_right_fifo_data;
    wire stage1_add_valid, stage1_add_ready;
    wire [4:0] stage1_add_data;
    wire stage1_add_skid_valid, stage1_add_skid_ready;
    wire [4:0] stage1_add_skid_data;
    wire stage1_act_valid, stage1_act_ready;
    wire [3:0] stage1_act_data;
    wire pool_valid, pool_ready;
    wire [5:0] pool_data;
    wire head_window_valid, head_window_ready;
    wire [5:0] head_window_data;
    wire head_window_skid_valid, head_window_skid_ready;
    wire [5:0] head_window_skid_data;
    wire head_valid, head_ready;
    wire [15:0] head_data;
    wire head_skid_valid, head_skid_ready;
    wire [15:0] head_skid_data;
    wire segments_valid, segments_ready;
    wire [17:0] segments_data;
    wire decide_valid, decide_ready;
    wire [127:0] decide_data;

    wire reset = rst || clear;

    assign pixels_valid  = s_axis_tvalid;
    assign s_axis_tready = pixels_ready;
    assign pixels_data   = s_axis_tdata;

    // 8x8x3 uint8, 3 lanes -> 8x8x3 uint8, 3 lanes
    fg_pace #(
        .BITS(24), .BEATS(64), .INTERVAL(432)
    ) u_pace (
        .clk(clk), .rst(reset),
        .in_valid(pixels_valid), .in_ready(pixels_ready), .in_data(pixels_data),
        .out_valid(pace_valid), .out_ready(pace_ready), .out_data(pace_data)
    );

    // 8x8x3 uint8, 3 lanes -> 8x8x3 uint8, 1 lane
    fg_width #(
        .IN_BITS(24), .OUT_BITS(8)
    ) u_stem_window_width (
        .clk(clk), .rst(reset),
        .in_valid(pace_valid), .in_ready(pace_ready), .in_data(pace_data),
        .out_valid(stem_window_width_valid), .out_ready(stem_window_width_ready), .out_data(stem_window_width_data)
    );

    // 8x8x3 uint8, 1 lane -> 4x4x27 uint8, 1 lane
    fg_window #(
        .LANES(1), .BITS(8), .BEATS(3), .HEIGHT(8), .WIDTH(8), .OUT_HEIGHT(4), .OUT_WIDTH(4), .KERNEL_H(3),
        .KERNEL_W(3), .STRIDE_H(2), .STRIDE_W(2), .PAD_TOP(1), .PAD_LEFT(1), .PAD_VALUE(0), .REPEAT(1), .ROWS(5),
        .SLICE(8)
    ) u_stem_window (
        .clk(clk), .rst(reset),
        .in_valid(stem_window_width_valid), .in_ready(stem_window_width_ready), .in_data(stem_window_width_data),
        .out_valid(stem_window_valid), .out_ready(stem_window_ready), .out_data(stem_window_data)
    );

    // 4x4x27 uint8, 1 lane -> 4x4x27 uint8, 1 lane
    fg_skid #(
        .BITS(8)
    ) u_stem_window_skid (
        .clk(clk), .rst(reset),
        .in_valid(stem_window_valid), .in_ready(stem_window_ready), .in_data(stem_window_data),
        .out_valid(stem_window_skid_valid), .out_ready(stem_window_skid_ready), .out_data(stem_window_skid_data)
    );

    // 4x4x27 uint8, 1 lane -> 4x4x8 int20, 8 lanes
    fg_matvec #(
        .PE(8), .SIMD(1), .STEPS(27), .FOLDS(1), .IN_BITS(8), .IN_SIGNED(0), .WEIGHT_BITS(8), .OUT_BITS(20),
        .IN_LUTS(0), .FACTOR(18), .CASCADE(1), .BANK(27), .BLOCK(0), .WEIGHTS("framegate_stem_weights")
    ) u_stem (
        .clk(clk), .rst(reset),
        .in_valid(stem_window_skid_valid), .in_ready(stem_window_skid_ready), .in_data(stem_window_skid_data),
        .out_valid(stem_valid), .out_ready(stem_ready), .out_data(stem_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 4x4x8 int20, 8 lanes -> 4x4x8 int20, 8 lanes
    fg_skid #(
        .BITS(160)
    ) u_stem_skid (
        .clk(clk), .rst(reset),
        .in_valid(stem_valid), .in_ready(stem_ready), .in_data(stem_data),
        .out_valid(stem_skid_valid), .out_ready(stem_skid_ready), .out_data(stem_skid_data)
    );

    // 4x4x8 int20, 8 lanes -> 4x4x8 uint4, 8 lanes
    fg_threshold #(
        .LANES(8), .BEATS(1), .IN_BITS(20), .IN_SIGNED(1), .OUT_BITS(4), .BASE(0), .SLOW(0),
        .LEVEL0("framegate_stem_act_level0.hex"), .LEVEL1("framegate_stem_act_level1.hex"),
        .LEVEL2("framegate_stem_act_level2.hex"), .LEVEL3("framegate_stem_act_level3.hex")
    ) u_stem_act (
        .clk(clk), .rst(reset),
        .in_valid(stem_skid_valid), .in_ready(stem_skid_ready), .in_data(stem_skid_data),
        .out_valid(stem_act_valid), .out_ready(stem_act_ready), .out_data(stem_act_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 4x4x8 uint4, 8 lanes -> 4x4x8 uint4, 8 lanes
    fg_fork #(
        .BITS(32)
    ) u_stage1_fork (
        .clk(clk), .rst(reset),
        .in_valid(stem_act_valid), .in_ready(stem_act_ready), .in_data(stem_act_data),
        .left_valid(stage1_fork_left_valid), .left_ready(stage1_fork_left_ready), .left_data(stage1_fork_left_data),
        .right_valid(stage1_fork_right_valid), .right_ready(stage1_fork_right_ready),
        .right_data(stage1_fork_right_data)
    );

    // 4x4x8 uint4, 8 lanes -> 4x4x8 uint4, 1 lane
    fg_width #(
        .IN_BITS(32), .OUT_BITS(4)
    ) u_stage1_shift_width (
        .clk(clk), .rst(reset),
        .in_valid(stage1_fork_left_valid), .in_ready(stage1_fork_left_ready), .in_data(stage1_fork_left_data),
        .out_valid(stage1_shift_width_valid), .out_ready(stage1_shift_width_ready), .out_data(stage1_shift_width_data)
    );

    // 4x4x8 uint4, 1 lane -> 4x4x8 uint4, 1 lane
    fg_fifo #(
        .BITS(4), .DEPTH(37), .SLICE(4)
    ) u_stage1_shift_fifo (
        .clk(clk), .rst(reset),
        .in_valid(stage1_shift_width_valid), .in_ready(stage1_shift_width_ready), .in_data(stage1_shift_width_data),
        .out_valid(stage1_shift_fifo_valid), .out_ready(stage1_shift_fifo_ready), .out_data(stage1_shift_fifo_data)
    );

    // 4x4x8 uint4, 1 lane -> 4x4x8 uint4, 1 lane
    fg_shift #(
        .BITS(4), .BEATS_PER_PIXEL(8), .PIXELS(16), .FRAMES(3), .LOOKAHEAD(1), .ENDLESS(0), .OLDEST(2), .PIECES(3),
        .FIRST(48'h000200010000), .LAST(48'h000700010000), .LOW(48'h000000000000), .WIDE(48'h000400040004),
        .DELAY(48'h000100000002), .SLICES(48'h000400040004)
    ) u_stage1_shift (
        .clk(clk), .rst(reset),
        .in_valid(stage1_shift_fifo_valid), .in_ready(stage1_shift_fifo_ready), .in_data(stage1_shift_fifo_data),
        .out_valid(stage1_shift_valid), .out_ready(stage1_shift_ready), .out_data(stage1_shift_data)
    );

    // 4x4x8 uint4, 1 lane -> 4x4x8 uint4, 4 lanes
    fg_width #(
        .IN_BITS(4), .OUT_BITS(16)
    ) u_stage1_conv1_window_width (
        .clk(clk), .rst(reset),
        .in_valid(stage1_shift_valid), .in_ready(stage1_shift_ready), .in_data(stage1_shift_data),
        .out_valid(stage1_conv1_window_width_valid), .out_ready(stage1_conv1_window_width_ready),
        .out_data(stage1_conv1_window_width_data)
    );

    // 4x4x8 uint4, 4 lanes -> 4x4x8 uint4, 4 lanes
    fg_fifo #(
        .BITS(16), .DEPTH(7), .SLICE(16)
    ) u_stage1_conv1_window_fifo (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv1_window_width_valid), .in_ready(stage1_conv1_window_width_ready),
        .in_data(stage1_conv1_window_width_data),
        .out_valid(stage1_conv1_window_fifo_valid), .out_ready(stage1_conv1_window_fifo_ready),
        .out_data(stage1_conv1_window_fifo_data)
    );

    // 4x4x8 uint4, 4 lanes -> 2x2x72 uint4, 4 lanes
    fg_window #(
        .LANES(4), .BITS(4), .BEATS(2), .HEIGHT(4), .WIDTH(4), .OUT_HEIGHT(2), .OUT_WIDTH(2), .KERNEL_H(3),
        .KERNEL_W(3), .STRIDE_H(2), .STRIDE_W(2), .PAD_TOP(1), .PAD_LEFT(1), .PAD_VALUE(0), .REPEAT(4), .ROWS(5),
        .SLICE(16)
    ) u_stage1_conv1_window (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv1_window_fifo_valid), .in_ready(stage1_conv1_window_fifo_ready),
        .in_data(stage1_conv1_window_fifo_data),
        .out_valid(stage1_conv1_window_valid), .out_ready(stage1_conv1_window_ready),
        .out_data(stage1_conv1_window_data)
    );

    // 2x2x72 uint4, 4 lanes -> 2x2x72 uint4, 4 lanes
    fg_skid #(
        .BITS(16)
    ) u_stage1_conv1_window_skid (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv1_window_valid), .in_ready(stage1_conv1_window_ready), .in_data(stage1_conv1_window_data),
        .out_valid(stage1_conv1_window_skid_valid), .out_ready(stage1_conv1_window_skid_ready),
        .out_data(stage1_conv1_window_skid_data)
    );

    // 2x2x72 uint4, 4 lanes -> 2x2x8 int13, 2 lanes
    fg_matvec #(
        .PE(2), .SIMD(4), .STEPS(18), .FOLDS(4), .IN_BITS(4), .IN_SIGNED(0), .WEIGHT_BITS(4), .OUT_BITS(13),
        .IN_LUTS(0), .FACTOR(18), .CASCADE(1), .BANK(72), .BLOCK(1), .WEIGHTS("framegate_stage1_conv1_weights")
    ) u_stage1_conv1 (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv1_window_skid_valid), .in_ready(stage1_conv1_window_skid_ready),
        .in_data(stage1_conv1_window_skid_data),
        .out_valid(stage1_conv1_valid), .out_ready(stage1_conv1_ready), .out_data(stage1_conv1_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 2x2x8 int13, 2 lanes -> 2x2x8 int13, 2 lanes
    fg_skid #(
        .BITS(26)
    ) u_stage1_conv1_skid (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv1_valid), .in_ready(stage1_conv1_ready), .in_data(stage1_conv1_data),
        .out_valid(stage1_conv1_skid_valid), .out_ready(stage1_conv1_skid_ready), .out_data(stage1_conv1_skid_data)
    );

    // 2x2x8 int13, 2 lanes -> 2x2x8 uint4, 2 lanes
    fg_threshold #(
        .LANES(2), .BEATS(4), .IN_BITS(13), .IN_SIGNED(1), .OUT_BITS(4), .BASE(0), .SLOW(0),
        .LEVEL0("framegate_stage1_conv1_act_level0.hex"), .LEVEL1("framegate_stage1_conv1_act_level1.hex"),
        .LEVEL2("framegate_stage1_conv1_act_level2.hex"), .LEVEL3("framegate_stage1_conv1_act_level3.hex")
    ) u_stage1_conv1_act (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv1_skid_valid), .in_ready(stage1_conv1_skid_ready), .in_data(stage1_conv1_skid_data),
        .out_valid(stage1_conv1_act_valid), .out_ready(stage1_conv1_act_ready), .out_data(stage1_conv1_act_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 2x2x8 uint4, 2 lanes -> 2x2x8 uint4, 4 lanes
    fg_width #(
        .IN_BITS(8), .OUT_BITS(16)
    ) u_stage1_conv2_window_width (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv1_act_valid), .in_ready(stage1_conv1_act_ready), .in_data(stage1_conv1_act_data),
        .out_valid(stage1_conv2_window_width_valid), .out_ready(stage1_conv2_window_width_ready),
        .out_data(stage1_conv2_window_width_data)
    );

    // 2x2x8 uint4, 4 lanes -> 2x2x72 uint4, 4 lanes
    fg_window #(
        .LANES(4), .BITS(4), .BEATS(2), .HEIGHT(2), .WIDTH(2), .OUT_HEIGHT(2), .OUT_WIDTH(2), .KERNEL_H(3),
        .KERNEL_W(3), .STRIDE_H(1), .STRIDE_W(1), .PAD_TOP(1), .PAD_LEFT(1), .PAD_VALUE(0), .REPEAT(4), .ROWS(4),
        .SLICE(16)
    ) u_stage1_conv2_window (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv2_window_width_valid), .in_ready(stage1_conv2_window_width_ready),
        .in_data(stage1_conv2_window_width_data),
        .out_valid(stage1_conv2_window_valid), .out_ready(stage1_conv2_window_ready),
        .out_data(stage1_conv2_window_data)
    );

    // 2x2x72 uint4, 4 lanes -> 2x2x72 uint4, 4 lanes
    fg_skid #(
        .BITS(16)
    ) u_stage1_conv2_window_skid (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv2_window_valid), .in_ready(stage1_conv2_window_ready), .in_data(stage1_conv2_window_data),
        .out_valid(stage1_conv2_window_skid_valid), .out_ready(stage1_conv2_window_skid_ready),
        .out_data(stage1_conv2_window_skid_data)
    );

    // 2x2x72 uint4, 4 lanes -> 2x2x8 int13, 2 lanes
    fg_matvec #(
        .PE(2), .SIMD(4), .STEPS(18), .FOLDS(4), .IN_BITS(4), .IN_SIGNED(0), .WEIGHT_BITS(4), .OUT_BITS(13),
        .IN_LUTS(0), .FACTOR(18), .CASCADE(1), .BANK(72), .BLOCK(1), .WEIGHTS("framegate_stage1_conv2_weights")
    ) u_stage1_conv2 (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv2_window_skid_valid), .in_ready(stage1_conv2_window_skid_ready),
        .in_data(stage1_conv2_window_skid_data),
        .out_valid(stage1_conv2_valid), .out_ready(stage1_conv2_ready), .out_data(stage1_conv2_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 2x2x8 int13, 2 lanes -> 2x2x8 int13, 2 lanes
    fg_skid #(
        .BITS(26)
    ) u_stage1_conv2_skid (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv2_valid), .in_ready(stage1_conv2_ready), .in_data(stage1_conv2_data),
        .out_valid(stage1_conv2_skid_valid), .out_ready(stage1_conv2_skid_ready), .out_data(stage1_conv2_skid_data)
    );

    // 2x2x8 int13, 2 lanes -> 2x2x8 int4, 2 lanes
    fg_threshold #(
        .LANES(2), .BEATS(4), .IN_BITS(13), .IN_SIGNED(1), .OUT_BITS(4), .BASE(-8), .SLOW(0),
        .LEVEL0("framegate_stage1_conv2_act_level0.hex"), .LEVEL1("framegate_stage1_conv2_act_level1.hex"),
        .LEVEL2("framegate_stage1_conv2_act_level2.hex"), .LEVEL3("framegate_stage1_conv2_act_level3.hex")
    ) u_stage1_conv2_act (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv2_skid_valid), .in_ready(stage1_conv2_skid_ready), .in_data(stage1_conv2_skid_data),
        .out_valid(stage1_conv2_act_valid), .out_ready(stage1_conv2_act_ready), .out_data(stage1_conv2_act_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 4x4x8 uint4, 8 lanes -> 4x4x8 uint4, 1 lane
    fg_width #(
        .IN_BITS(32), .OUT_BITS(4)
    ) u_stage1_short_window_width (
        .clk(clk), .rst(reset),
        .in_valid(stage1_fork_right_valid), .in_ready(stage1_fork_right_ready), .in_data(stage1_fork_right_data),
        .out_valid(stage1_short_window_width_valid), .out_ready(stage1_short_window_width_ready),
        .out_data(stage1_short_window_width_data)
    );

    // 4x4x8 uint4, 1 lane -> 2x2x8 uint4, 1 lane
    fg_window #(
        .LANES(1), .BITS(4), .BEATS(8), .HEIGHT(4), .WIDTH(4), .OUT_HEIGHT(2), .OUT_WIDTH(2), .KERNEL_H(1),
        .KERNEL_W(1), .STRIDE_H(2), .STRIDE_W(2), .PAD_TOP(0), .PAD_LEFT(0), .PAD_VALUE(0), .REPEAT(8), .ROWS(3),
        .SLICE(4)
    ) u_stage1_short_window (
        .clk(clk), .rst(reset),
        .in_valid(stage1_short_window_width_valid), .in_ready(stage1_short_window_width_ready),
        .in_data(stage1_short_window_width_data),
        .out_valid(stage1_short_window_valid), .out_ready(stage1_short_window_ready),
        .out_data(stage1_short_window_data)
    );

    // 2x2x8 uint4, 1 lane -> 2x2x8 uint4, 1 lane
    fg_skid #(
        .BITS(4)
    ) u_stage1_short_window_skid (
        .clk(clk), .rst(reset),
        .in_valid(stage1_short_window_valid), .in_ready(stage1_short_window_ready), .in_data(stage1_short_window_data),
        .out_valid(stage1_short_window_skid_valid), .out_ready(stage1_short_window_skid_ready),
        .out_data(stage1_short_window_skid_data)
    );

    // 2x2x8 uint4, 1 lane -> 2x2x8 int10, 1 lane
    fg_matvec #(
        .PE(1), .SIMD(1), .STEPS(8), .FOLDS(8), .IN_BITS(4), .IN_SIGNED(0), .WEIGHT_BITS(4), .OUT_BITS(10),
        .IN_LUTS(0), .FACTOR(18), .CASCADE(1), .BANK(64), .BLOCK(0), .WEIGHTS("framegate_stage1_short_weights")
    ) u_stage1_short (
        .clk(clk), .rst(reset),
        .in_valid(stage1_short_window_skid_valid), .in_ready(stage1_short_window_skid_ready),
        .in_data(stage1_short_window_skid_data),
        .out_valid(stage1_short_valid), .out_ready(stage1_short_ready), .out_data(stage1_short_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 2x2x8 int10, 1 lane -> 2x2x8 int4, 1 lane
    fg_threshold #(
        .LANES(1), .BEATS(8), .IN_BITS(10), .IN_SIGNED(1), .OUT_BITS(4), .BASE(-8), .SLOW(0),
        .LEVEL0("framegate_stage1_short_act_level0.hex"), .LEVEL1("framegate_stage1_short_act_level1.hex"),
        .LEVEL2("framegate_stage1_short_act_level2.hex"), .LEVEL3("framegate_stage1_short_act_level3.hex")
    ) u_stage1_short_act (
        .clk(clk), .rst(reset),
        .in_valid(stage1_short_valid), .in_ready(stage1_short_ready), .in_data(stage1_short_data),
        .out_valid(stage1_short_act_valid), .out_ready(stage1_short_act_ready), .out_data(stage1_short_act_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 2x2x8 int4, 2 lanes -> 2x2x8 int4, 1 lane
    fg_width #(
        .IN_BITS(8), .OUT_BITS(4)
    ) u_stage1_add_left_width (
        .clk(clk), .rst(reset),
        .in_valid(stage1_conv2_act_valid), .in_ready(stage1_conv2_act_ready), .in_data(stage1_conv2_act_data),
        .out_valid(stage1_add_left_width_valid), .out_ready(stage1_add_left_width_ready),
        .out_data(stage1_add_left_width_data)
    );

    // 2x2x8 int4, 1 lane -> 2x2x8 int4, 1 lane
    fg_fifo #(
        .BITS(4), .DEPTH(78), .SLICE(4)
    ) u_stage1_add_right_fifo (
        .clk(clk), .rst(reset),
        .in_valid(stage1_short_act_valid), .in_ready(stage1_short_act_ready), .in_data(stage1_short_act_data),
        .out_valid(stage1_add_right_fifo_valid), .out_ready(stage1_add_right_fifo_ready),
        .out_data(stage1_add_right_fifo_data)
    );

    // 2x2x8 int4, 1 lane + 2x2x8 int4, 1 lane -> 2x2x8 int5, 1 lane
    fg_add #(
        .LANES(1), .LEFT_BITS(4), .LEFT_SIGNED(1), .RIGHT_BITS(4), .RIGHT_SIGNED(1), .OUT_BITS(5)
    ) u_stage1_add (
        .clk(clk), .rst(reset),
        .left_valid(stage1_add_left_width_valid), .left_ready(stage1_add_left_width_ready),
        .left_data(stage1_add_left_width_data),
        .right_valid(stage1_add_right_fifo_valid), .right_ready(stage1_add_right_fifo_ready),
        .right_data(stage1_add_right_fifo_data),
        .out_valid(stage1_add_valid), .out_ready(stage1_add_ready), .out_data(stage1_add_data)
    );

    // 2x2x8 int5, 1 lane -> 2x2x8 int5, 1 lane
    fg_skid #(
        .BITS(5)
    ) u_stage1_add_skid (
        .clk(clk), .rst(reset),
        .in_valid(stage1_add_valid), .in_ready(stage1_add_ready), .in_data(stage1_add_data),
        .out_valid(stage1_add_skid_valid), .out_ready(stage1_add_skid_ready), .out_data(stage1_add_skid_data)
    );

    // 2x2x8 int5, 1 lane -> 2x2x8 uint4, 1 lane
    fg_threshold #(
        .LANES(1), .BEATS(1), .IN_BITS(5), .IN_SIGNED(1), .OUT_BITS(4), .BASE(0), .SLOW(0),
        .LEVEL0("framegate_stage1_act_level0.hex"), .LEVEL1("framegate_stage1_act_level1.hex"),
        .LEVEL2("framegate_stage1_act_level2.hex"), .LEVEL3("framegate_stage1_act_level3.hex")
    ) u_stage1_act (
        .clk(clk), .rst(reset),
        .in_valid(stage1_add_skid_valid), .in_ready(stage1_add_skid_ready), .in_data(stage1_add_skid_data),
        .out_valid(stage1_act_valid), .out_ready(stage1_act_ready), .out_data(stage1_act_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 2x2x8 uint4, 1 lane -> 1x1x8 uint6, 1 lane
    fg_mean #(
        .LANES(1), .IN_BITS(4), .SIGNED(0), .OUT_BITS(6), .GROUP(8), .COUNT(4)
    ) u_pool (
        .clk(clk), .rst(reset),
        .in_valid(stage1_act_valid), .in_ready(stage1_act_ready), .in_data(stage1_act_data),
        .out_valid(pool_valid), .out_ready(pool_ready), .out_data(pool_data)
    );

    // 1x1x8 uint6, 1 lane -> 1x1x8 uint6, 1 lane
    fg_window #(
        .LANES(1), .BITS(6), .BEATS(8), .HEIGHT(1), .WIDTH(1), .OUT_HEIGHT(1), .OUT_WIDTH(1), .KERNEL_H(1),
        .KERNEL_W(1), .STRIDE_H(1), .STRIDE_W(1), .PAD_TOP(0), .PAD_LEFT(0), .PAD_VALUE(0), .REPEAT(3), .ROWS(2),
        .SLICE(6)
    ) u_head_window (
        .clk(clk), .rst(reset),
        .in_valid(pool_valid), .in_ready(pool_ready), .in_data(pool_data),
        .out_valid(head_window_valid), .out_ready(head_window_ready), .out_data(head_window_data)
    );

    // 1x1x8 uint6, 1 lane -> 1x1x8 uint6, 1 lane
    fg_skid #(
        .BITS(6)
    ) u_head_window_skid (
        .clk(clk), .rst(reset),
        .in_valid(head_window_valid), .in_ready(head_window_ready), .in_data(head_window_data),
        .out_valid(head_window_skid_valid), .out_ready(head_window_skid_ready), .out_data(head_window_skid_data)
    );

    // 1x1x8 uint6, 1 lane -> 1x1x3 int16, 1 lane
    fg_matvec #(
        .PE(1), .SIMD(1), .STEPS(8), .FOLDS(3), .IN_BITS(6), .IN_SIGNED(0), .WEIGHT_BITS(8), .OUT_BITS(16),
        .IN_LUTS(0), .FACTOR(18), .CASCADE(1), .BANK(24), .BLOCK(0), .WEIGHTS("framegate_head_weights")
    ) u_head (
        .clk(clk), .rst(reset),
        .in_valid(head_window_skid_valid), .in_ready(head_window_skid_ready), .in_data(head_window_skid_data),
        .out_valid(head_valid), .out_ready(head_ready), .out_data(head_data),
        .load_rst(1'b0), .load(1'b0), .load_data(32'd0)
    );

    // 1x1x3 int16, 1 lane -> 1x1x3 int16, 1 lane
    fg_skid #(
        .BITS(16)
    ) u_head_skid (
        .clk(clk), .rst(reset),
        .in_valid(head_valid), .in_ready(head_ready), .in_data(head_data),
        .out_valid(head_skid_valid), .out_ready(head_skid_ready), .out_data(head_skid_data)
    );

    // 1x1x3 int16, 1 lane -> 1x1x3 int18, 1 lane
    fg_mean #(
        .LANES(1), .IN_BITS(16), .SIGNED(1), .OUT_BITS(18), .GROUP(3), .COUNT(3)
    ) u_segments (
        .clk(clk), .rst(reset),
        .in_valid(head_skid_valid), .in_ready(head_skid_ready), .in_data(head_skid_data),
        .out_valid(segments_valid), .out_ready(segments_ready), .out_data(segments_data)
    );

    // 1x1x3 int18, 1 lane -> 1x1x4 int32, 4 lanes
    fg_decide #(
        .LANES(1), .IN_BITS(18), .SIGNED(1), .CLASSES(3), .POSITIVE(2), .THRESHOLDS(34'h0)
    ) u_decide (
        .clk(clk), .rst(reset),
        .in_valid(segments_valid), .in_ready(segments_ready), .in_data(segments_data),
        .out_valid(decide_valid), .out_ready(decide_ready), .out_data(decide_data)
    );

    assign m_axis_tvalid   = decide_valid;
    assign decide_ready = m_axis_tready;
    assign m_axis_tdata    = decide_data;
    assign m_axis_tlast    = 1'b1;
endmodule
`default_nettype wire
