// SPDX-License-Identifier: Apache-2.0
// Sliding window (im2col): per output pixel the KERNEL_H x KERNEL_W pixels under it, REPEAT times. II = 1, latency 2.
// A line buffer keeps ROWS rows; a row leaves it when the last output row that needs it is done.
module window #(
    parameter int  LANES      = 1,  // channels in one beat
    parameter int  BITS       = 4,  // of one channel
    parameter int  BEATS      = 4,  // beats of an input pixel
    parameter int  HEIGHT     = 4,  // input frame
    parameter int  WIDTH      = 4,
    parameter int  OUT_HEIGHT = 4,  // output frame
    parameter int  OUT_WIDTH  = 4,
    parameter int  KERNEL_H   = 3,
    parameter int  KERNEL_W   = 3,
    parameter int  STRIDE_H   = 1,
    parameter int  STRIDE_W   = 1,
    parameter int  PAD_TOP    = 1,
    parameter int  PAD_LEFT   = 1,
    parameter int  PAD_VALUE  = 0,
    parameter int  REPEAT     = 1,  // times each output pixel is sent; BEATS if DEPTHWISE
    parameter int  DEPTHWISE  = 0,  // 1: one beat of each pixel after the other, instead of all beats of a pixel
    parameter int  ROWS       = 4,  // >= KERNEL_H
    localparam int BEAT_BITS  = LANES * BITS,
    localparam int ROW        = WIDTH * BEATS,     // beats of an input row
    localparam int DEPTH      = ROWS * ROW,
    localparam int ADDR       = $clog2(DEPTH + 1),
    localparam int BURST      = KERNEL_W * BEATS,  // beats of one kernel row
    localparam int STEP       = DEPTHWISE != 0 ? BEATS : 1,  // to the next beat that is sent
    // Signed counts of pixels relative to the reader's frame, and signed coordinates (columns in beats).
    localparam int PIXELS     = $clog2((HEIGHT + KERNEL_H + STRIDE_H + ROWS) * WIDTH + 1) + 1,
    localparam int ROWBITS    = $clog2(HEIGHT + KERNEL_H + STRIDE_H + 1) + 1,
    localparam int COLBITS    = $clog2(ROW + BURST + STRIDE_W * BEATS + 1) + 1,
    localparam int REPBITS    = $clog2(REPEAT + 1)
) (
    input  logic                 clk,
    input  logic                 rst,
    input  logic                 in_valid,
    output logic                 in_ready,
    input  logic [BEAT_BITS-1:0] in_data,
    output logic                 out_valid,
    input  logic                 out_ready,
    output logic [BEAT_BITS-1:0] out_data
);
    logic [BEAT_BITS-1:0] memory [0:DEPTH-1];

    // Pixels written since the start of the reader's frame, and those before the first that is still wanted.
    logic signed [PIXELS-1:0] ahead_q, base;

    // ------------------------------------------------------------------------------------------------- writer
    logic [ADDR-1:0]    write_q;
    logic [COLBITS-1:0] part_q;  // beats of the present pixel done
    logic               take, pixel_in;

    assign in_ready = (ahead_q - base) < $signed(PIXELS'(ROWS * WIDTH));
    assign take     = in_valid && in_ready;
    assign pixel_in = take && part_q == COLBITS'(BEATS - 1);

    always_ff @(posedge clk) if (take) memory[write_q] <= in_data;

    always_ff @(posedge clk) begin
        if (take) begin
            write_q <= write_q == ADDR'(DEPTH - 1) ? '0 : write_q + 1'b1;
            part_q  <= pixel_in ? '0 : part_q + 1'b1;
        end
        if (rst) begin
            write_q <= '0;
            part_q  <= '0;
        end
    end

    // ------------------------------------------------------------------------------------------------- reader
    // Counters, outermost first: output line, output column, repeat, kernel row, beat of the kernel row.
    // For a depthwise product a repeat is one block of channels: the same beat of every pixel under the window.
    logic signed [ROWBITS-1:0] top_q;    // first row under the window, negative in the padding
    logic signed [COLBITS-1:0] left_q;   // first column under it, in beats
    logic [ROWBITS-1:0]        tap_q;
    logic [COLBITS-1:0]        beat_q;
    logic [REPBITS-1:0]        repeat_q;
    logic                      end_beat, end_tap, end_repeat, end_column, end_line;
    logic signed [ROWBITS-1:0] y;        // coordinates of the present beat
    logic signed [COLBITS-1:0] x;
    logic                      outside;

    assign y       = top_q + $signed(tap_q);
    assign x       = left_q + $signed(beat_q) + (DEPTHWISE != 0 ? $signed(COLBITS'(repeat_q)) : '0);
    assign outside = y < 0 || y >= $signed(ROWBITS'(HEIGHT)) || x < 0 || x >= $signed(COLBITS'(ROW));

    assign end_beat   = beat_q == COLBITS'(BURST - STEP);
    assign end_tap    = end_beat && tap_q == ROWBITS'(KERNEL_H - 1);
    assign end_repeat = end_tap && repeat_q == REPBITS'(REPEAT - 1);
    assign end_column = end_repeat && left_q == $signed(COLBITS'(((OUT_WIDTH - 1) * STRIDE_W - PAD_LEFT) * BEATS));
    assign end_line   = end_column && top_q == $signed(ROWBITS'((OUT_HEIGHT - 1) * STRIDE_H - PAD_TOP));

    // The last real pixel under the window is in row min(top + KERNEL_H, HEIGHT) - 1 and column
    // min(left + KERNEL_W, WIDTH) - 1; `above_q`, `right_q` and `base_q` follow without the clipping.
    localparam logic signed [PIXELS-1:0] LAST_ROW = PIXELS'((HEIGHT - 1) * WIDTH);
    localparam logic signed [PIXELS-1:0] LINE     = PIXELS'(STRIDE_H * WIDTH);
    logic signed [PIXELS-1:0] above_q, right_q, base_q, need;
    logic                     open_q;  // in the middle of an output pixel
    logic                     enough, move, issue, valid_q, outside_q;

    assign need   = (above_q > LAST_ROW ? LAST_ROW : above_q)
                  + (right_q > $signed(PIXELS'(WIDTH)) ? $signed(PIXELS'(WIDTH)) : right_q);
    assign base   = base_q < 0 ? '0 : base_q;
    assign enough = open_q || ahead_q >= need;
    assign move   = out_ready || !valid_q;
    assign issue  = move && enough;

    always_ff @(posedge clk) begin
        if (issue) begin
            open_q <= !end_repeat;
            beat_q <= end_beat ? '0 : beat_q + COLBITS'(STEP);
            if (end_beat) tap_q <= end_tap ? '0 : tap_q + 1'b1;
            if (end_tap) repeat_q <= end_repeat ? '0 : repeat_q + 1'b1;
            if (end_repeat) begin
                left_q  <= end_column ? -$signed(COLBITS'(PAD_LEFT * BEATS)) : left_q + $signed(COLBITS'(STRIDE_W * BEATS));
                right_q <= end_column ? PIXELS'(KERNEL_W - PAD_LEFT) : right_q + $signed(PIXELS'(STRIDE_W));
            end
            if (end_column) begin
                top_q   <= end_line ? -$signed(ROWBITS'(PAD_TOP)) : top_q + $signed(ROWBITS'(STRIDE_H));
                above_q <= end_line ? PIXELS'((KERNEL_H - PAD_TOP - 1) * WIDTH) : above_q + LINE;
                base_q  <= end_line ? -$signed(PIXELS'(PAD_TOP * WIDTH)) : base_q + LINE;
            end
        end
        ahead_q <= ahead_q + $signed({1'b0, pixel_in}) - (issue && end_line ? $signed(PIXELS'(HEIGHT * WIDTH)) : '0);
        if (rst) begin
            open_q   <= 1'b0;
            beat_q   <= '0;
            tap_q    <= '0;
            repeat_q <= '0;
            left_q   <= -$signed(COLBITS'(PAD_LEFT * BEATS));
            right_q  <= PIXELS'(KERNEL_W - PAD_LEFT);
            top_q    <= -$signed(ROWBITS'(PAD_TOP));
            above_q  <= PIXELS'((KERNEL_H - PAD_TOP - 1) * WIDTH);
            base_q   <= -$signed(PIXELS'(PAD_TOP * WIDTH));
            ahead_q  <= '0;
        end
    end

    // ------------------------------------------------------------- the ring: where the rows lie in the buffer
    // Rows above the frame count as well, so that moving the window is always a fixed number of rows further.
    localparam int START      = ((ROWS - PAD_TOP % ROWS) % ROWS) * ROW;
    localparam int NEXT_LINE  = (STRIDE_H % ROWS) * ROW;
    localparam int NEXT_FRAME = ((HEIGHT - (OUT_HEIGHT - 1) * STRIDE_H + ROWS * OUT_HEIGHT * STRIDE_H) % ROWS) * ROW;
    logic [ADDR-1:0] first_q, row_q, first_d, row_d, address;  // ring address of the window's first, of the present row

    assign first_d = wrap(first_q, end_line ? (ADDR+1)'(NEXT_FRAME) : (ADDR+1)'(NEXT_LINE));
    assign row_d   = wrap(row_q, (ADDR+1)'(ROWS > 1 ? ROW : 0));
    assign address = row_q + ADDR'(x);

    function automatic logic [ADDR-1:0] wrap(input logic [ADDR-1:0] from, input logic [ADDR:0] step);
        logic [ADDR:0] sum;
        sum = {1'b0, from} + step;
        wrap = ADDR'(sum >= (ADDR+1)'(DEPTH) ? sum - (ADDR+1)'(DEPTH) : sum);
    endfunction

    always_ff @(posedge clk) begin
        if (issue && end_column) first_q <= first_d;
        if (issue && end_beat) row_q <= end_column ? first_d : end_tap ? first_q : row_d;
        if (rst) begin
            first_q <= ADDR'(START);
            row_q   <= ADDR'(START);
        end
    end

    // ------------------------------------------------------------------------------------------------- output
    logic [BEAT_BITS-1:0] data_q;

    always_ff @(posedge clk) begin
        if (move) begin
            data_q    <= memory[address];
            outside_q <= outside;
            valid_q   <= enough;
        end
        if (rst) valid_q <= 1'b0;
    end

    assign out_valid = valid_q;
    assign out_data  = outside_q ? {LANES{BITS'(PAD_VALUE)}} : data_q;
endmodule
