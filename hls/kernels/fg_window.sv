// SPDX-License-Identifier: Apache-2.0
// Sliding window (im2col): per output pixel the KERNEL_H x KERNEL_W pixels under it, REPEAT times. II = 1, latency 4.
// A line buffer keeps ROWS rows; a row leaves it when the last output row that needs it is done.
`default_nettype none
module fg_window #(
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
    parameter int  SLICE      = 16, // bits of a beat that a block RAM keeps
    parameter int  ULTRA      = 0,  // 1: the memory is in UltraRAM
    localparam int BEAT_BITS  = LANES * BITS,
    localparam int ROW        = WIDTH * BEATS,     // beats of an input row
    localparam int DEPTH      = ROWS * ROW,
    localparam int ADDR       = $clog2(DEPTH + 1),            // holds DEPTH as well
    localparam int PLACE      = DEPTH > 1 ? $clog2(DEPTH) : 1,  // an address of the memory
    localparam int STEP       = DEPTHWISE != 0 ? BEATS : 1,  // to the next beat that is sent
    localparam int BURST      = KERNEL_W * BEATS / STEP,     // beats sent of one kernel row
    // Signed differences of pixel counts, and signed coordinates (columns in beats).
    localparam int PIXELS     = $clog2((HEIGHT + KERNEL_H + STRIDE_H + ROWS) * WIDTH + 1) + 1,
    localparam int ROWBITS    = $clog2(HEIGHT + KERNEL_H + STRIDE_H + 1) + 1,
    localparam int COLBITS    = $clog2(ROW + KERNEL_W * BEATS + STRIDE_W * BEATS + 1) + 1,
    localparam int PARTBITS   = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int BURSTBITS  = BURST > 1 ? $clog2(BURST) : 1,
    localparam int TAPBITS    = KERNEL_H > 1 ? $clog2(KERNEL_H) : 1,
    localparam int REPBITS    = REPEAT > 1 ? $clog2(REPEAT) : 1,
    localparam int OUTBITS    = OUT_WIDTH > 1 ? $clog2(OUT_WIDTH) : 1,
    localparam int LINEBITS   = OUT_HEIGHT > 1 ? $clog2(OUT_HEIGHT) : 1
) (
    input  wire logic                 clk,
    input  wire logic                 rst,
    input  wire logic                 in_valid,
    output      logic                 in_ready,
    input  wire logic [BEAT_BITS-1:0] in_data,
    output      logic                 out_valid,
    input  wire logic                 out_ready,
    output      logic [BEAT_BITS-1:0] out_data
);
    logic pixel_in;  // the last beat of a pixel is taken
    logic has_room, enough;

    // ------------------------------------------------------------------------------------------------- writer
    logic [ADDR-1:0]     write_q;
    wire  [PARTBITS-1:0] part;       // beats of the present pixel done
    wire                 last_part;  // one more completes it
    logic                take;

    assign in_ready = has_room;
    assign take     = in_valid && has_room;
    assign pixel_in = take && last_part;

    always_ff @(posedge clk) begin
        if (take) write_q <= write_q == ADDR'(DEPTH - 1) ? '0 : write_q + 1'b1;
        if (rst) write_q <= '0;
    end

    fg_ring_counter #(.COUNT(BEATS)) u_part (.clk(clk), .rst(rst), .step(take), .count(part), .last(last_part));

    // ------------------------------------------------------------------------------------------------- reader
    // Counters, innermost first: beat of a kernel row, kernel row, repeat, output column, output line.
    // For a depthwise product a repeat is one block of channels: the same beat of every pixel under the window.
    wire [BURSTBITS-1:0] beat;
    wire [TAPBITS-1:0]   tap;
    wire [REPBITS-1:0]   again;
    wire [OUTBITS-1:0]   column;
    wire [LINEBITS-1:0]  line;
    wire                 last_beat, last_tap, last_repeat, last_column, last_line;
    logic                end_tap, end_repeat, end_column;
    logic                move, issue, valid_q, late_valid_q, out_valid_q, outside_q, late_outside_q;
    wire                 unused = &{1'b0, part, beat, tap, again};  // only whether they are at their last value

    assign end_tap    = last_beat && last_tap;
    assign end_repeat = last_beat && last_tap && last_repeat;
    assign end_column = end_repeat && last_column;
    assign move       = out_ready || !out_valid_q;
    assign issue      = move && enough;

    fg_ring_counter #(.COUNT(BURST)) u_beat (.clk(clk), .rst(rst), .step(issue), .count(beat), .last(last_beat));
    fg_ring_counter #(.COUNT(KERNEL_H)) u_tap (
        .clk(clk), .rst(rst), .step(issue && last_beat), .count(tap), .last(last_tap)
    );
    fg_ring_counter #(.COUNT(REPEAT)) u_repeat (
        .clk(clk), .rst(rst), .step(issue && end_tap), .count(again), .last(last_repeat)
    );
    fg_ring_counter #(.COUNT(OUT_WIDTH)) u_column (
        .clk(clk), .rst(rst), .step(issue && end_repeat), .count(column), .last(last_column)
    );
    fg_ring_counter #(.COUNT(OUT_HEIGHT)) u_line (
        .clk(clk), .rst(rst), .step(issue && end_column), .count(line), .last(last_line)
    );

    // Coordinates of the present beat: each step adds a constant.
    localparam int X_TAP    = -(BURST - 1) * STEP;  // back to the first beat of the kernel row
    localparam int X_REPEAT = X_TAP + (DEPTHWISE != 0 ? 1 : 0);
    localparam int X_COLUMN = X_TAP - (DEPTHWISE != 0 ? BEATS - 1 : 0) + STRIDE_W * BEATS;
    localparam int X_LINE   = X_COLUMN - OUT_WIDTH * STRIDE_W * BEATS;
    localparam int Y_TAP    = -(KERNEL_H - 1);
    localparam int Y_LINE   = Y_TAP + STRIDE_H;
    localparam int Y_FRAME  = Y_LINE - OUT_HEIGHT * STRIDE_H;
    logic signed [COLBITS-1:0] x_q, x_step;
    logic signed [ROWBITS-1:0] y_q, y_step;
    logic                      outside;

    assign x_step = !last_beat   ? COLBITS'(STEP)
                  : !last_tap    ? COLBITS'(X_TAP)
                  : !last_repeat ? COLBITS'(X_REPEAT)
                  : !last_column ? COLBITS'(X_COLUMN) : COLBITS'(X_LINE);
    assign y_step = !last_beat   ? '0
                  : !last_tap    ? ROWBITS'(1)
                  : !end_column    ? ROWBITS'(Y_TAP)
                  : !last_line   ? ROWBITS'(Y_LINE) : ROWBITS'(Y_FRAME);
    assign outside = y_q < 0 || y_q >= $signed(ROWBITS'(HEIGHT)) || x_q < 0 || x_q >= $signed(COLBITS'(ROW));

    always_ff @(posedge clk) begin
        if (issue) begin
            x_q <= x_q + x_step;
            y_q <= y_q + y_step;
        end
        if (rst) begin
            x_q <= -$signed(COLBITS'(PAD_LEFT * BEATS));
            y_q <= -$signed(ROWBITS'(PAD_TOP));
        end
    end

    // ------------------------------------------------------------------------- what is there, and what may go
    // `margin_q`: pixels written beyond the last one under the window; below zero the window waits. That last one is in
    // row min(top + KERNEL_H, HEIGHT) - 1 and column min(left + KERNEL_W, WIDTH) - 1: from one output pixel to the next
    // it moves by the stride, at the border by the rest of it, then not at all.
    // `room_q`: one less than the pixels that may still be written before one is overwritten that is wanted.
    localparam int RIGHT      = KERNEL_W - PAD_LEFT < WIDTH ? KERNEL_W - PAD_LEFT : WIDTH;       // columns of the first
    localparam int BELOW      = KERNEL_H - PAD_TOP < HEIGHT ? KERNEL_H - PAD_TOP - 1 : HEIGHT - 1;  // rows above its last
    localparam int COLUMNS    = (WIDTH - RIGHT) / STRIDE_W;       // moves by the whole stride
    localparam int LINES      = (HEIGHT - 1 - BELOW) / STRIDE_H;
    localparam int COLUMN_END = (WIDTH - RIGHT) % STRIDE_W;       // the rest of a stride
    localparam int LINE_END   = (HEIGHT - 1 - BELOW) % STRIDE_H;
    localparam int LAST_RIGHT = COLUMNS < OUT_WIDTH - 1 ? WIDTH : RIGHT + (OUT_WIDTH - 1) * STRIDE_W;
    localparam int LAST_BELOW = LINES < OUT_HEIGHT - 1 ? HEIGHT - 1 : BELOW + (OUT_HEIGHT - 1) * STRIDE_H;
    // Rows may go when the window's top leaves the padding.
    localparam int STAYS      = PAD_TOP / STRIDE_H;               // lines that free no row
    localparam int LAST_TOP   = (OUT_HEIGHT - 1) * STRIDE_H > PAD_TOP ? (OUT_HEIGHT - 1) * STRIDE_H - PAD_TOP : 0;

    localparam logic signed [PIXELS-1:0] NEED_COLUMN     = PIXELS'(STRIDE_W);
    localparam logic signed [PIXELS-1:0] NEED_COLUMN_END = PIXELS'(COLUMN_END);
    localparam logic signed [PIXELS-1:0] NEED_LINE       = PIXELS'(STRIDE_H * WIDTH + RIGHT - LAST_RIGHT);
    localparam logic signed [PIXELS-1:0] NEED_LINE_END   = PIXELS'(LINE_END * WIDTH + RIGHT - LAST_RIGHT);
    localparam logic signed [PIXELS-1:0] NEED_LINE_SAME  = PIXELS'(RIGHT - LAST_RIGHT);
    localparam logic signed [PIXELS-1:0] NEED_FRAME      = PIXELS'((HEIGHT + BELOW - LAST_BELOW) * WIDTH + RIGHT - LAST_RIGHT);
    localparam logic signed [PIXELS-1:0] FREE_FIRST      = PIXELS'(((STAYS + 1) * STRIDE_H - PAD_TOP) * WIDTH);
    localparam logic signed [PIXELS-1:0] FREE_LINE       = PIXELS'(STRIDE_H * WIDTH);
    localparam logic signed [PIXELS-1:0] FREE_FRAME      = PIXELS'((HEIGHT - LAST_TOP) * WIDTH);

    logic signed [PIXELS-1:0] margin_q, room_q, need, free;
    logic                     whole_column_q, rest_column_q, whole_line_q, rest_line_q;  // the next move
    logic                     no_free_q, first_free_q;  // what the end of the line frees

    assign enough   = !margin_q[PIXELS-1];
    assign has_room = !room_q[PIXELS-1];
    assign need     = !end_repeat    ? '0
                    : !last_column ? (whole_column_q ? NEED_COLUMN : rest_column_q ? NEED_COLUMN_END : '0)
                    : last_line    ? NEED_FRAME
                    : whole_line_q   ? NEED_LINE
                    : rest_line_q    ? NEED_LINE_END : NEED_LINE_SAME;
    assign free     = !end_column    ? '0
                    : last_line    ? FREE_FRAME
                    : no_free_q      ? '0
                    : first_free_q   ? FREE_FIRST : FREE_LINE;

    always_ff @(posedge clk) begin
        margin_q <= margin_q - (issue ? need : '0) + PIXELS'(pixel_in);
        room_q   <= room_q + (issue ? free : '0) - PIXELS'(pixel_in);
        if (issue && end_repeat) begin
            whole_column_q <= last_column ? COLUMNS > 0 : whole_column_q && int'(column) != COLUMNS - 1;
            rest_column_q  <= last_column ? COLUMNS == 0 : whole_column_q && int'(column) == COLUMNS - 1;
        end
        if (issue && end_column) begin
            whole_line_q <= last_line ? LINES > 0 : whole_line_q && int'(line) != LINES - 1;
            rest_line_q  <= last_line ? LINES == 0 : whole_line_q && int'(line) == LINES - 1;
            no_free_q    <= last_line ? STAYS > 0 : no_free_q && int'(line) != STAYS - 1;
            first_free_q <= last_line ? STAYS == 0 : no_free_q && int'(line) == STAYS - 1;
        end
        if (rst) begin
            margin_q       <= -$signed(PIXELS'(BELOW * WIDTH + RIGHT));
            room_q         <= PIXELS'(ROWS * WIDTH - 1);
            whole_column_q <= COLUMNS > 0;
            rest_column_q  <= COLUMNS == 0;
            whole_line_q   <= LINES > 0;
            rest_line_q    <= LINES == 0;
            no_free_q      <= STAYS > 0;
            first_free_q   <= STAYS == 0;
        end
    end

    // ------------------------------------------------------------- the ring: where the rows lie in the buffer
    // Rows above the frame count as well, so that moving the window is always a fixed number of rows further.
    localparam int START      = ((ROWS - PAD_TOP % ROWS) % ROWS) * ROW;
    localparam int NEXT_LINE  = (STRIDE_H % ROWS) * ROW;
    localparam int NEXT_FRAME = ((HEIGHT - (OUT_HEIGHT - 1) * STRIDE_H + ROWS * OUT_HEIGHT * STRIDE_H) % ROWS) * ROW;
    localparam int NEXT_ROW   = ROWS > 1 ? ROW : 0;
    logic [ADDR-1:0] first_q, row_q, next_line, next_frame, first_d, row_d;  // of the window's first, of the present row
    logic [PLACE-1:0] address;

    assign next_line  = first_q >= ADDR'(DEPTH - NEXT_LINE) ? first_q - ADDR'(DEPTH - NEXT_LINE) : first_q + ADDR'(NEXT_LINE);
    assign next_frame = first_q >= ADDR'(DEPTH - NEXT_FRAME) ? first_q - ADDR'(DEPTH - NEXT_FRAME) : first_q + ADDR'(NEXT_FRAME);
    assign first_d    = last_line ? next_frame : next_line;
    assign row_d      = row_q >= ADDR'(DEPTH - NEXT_ROW) ? row_q - ADDR'(DEPTH - NEXT_ROW) : row_q + ADDR'(NEXT_ROW);
    assign address    = PLACE'(row_q + ADDR'(x_q));

    always_ff @(posedge clk) begin
        if (issue && end_column) first_q <= first_d;
        if (issue && last_beat) row_q <= end_column ? first_d : end_tap ? first_q : row_d;
        if (rst) begin
            first_q <= ADDR'(START);
            row_q   <= ADDR'(START);
        end
    end

    // ------------------------------------------------------------------------------------------------- output
    // A block RAM is slow: a register is all that stands behind it, then the padding is chosen.
    logic [BEAT_BITS-1:0] data_q, late_q, out_q;

    fg_ram #(.BITS(BEAT_BITS), .DEPTH(DEPTH), .ADDR(PLACE), .SLICE(SLICE), .ULTRA(ULTRA)) u_ram (
        .clk(clk),
        .write(take), .write_address(PLACE'(write_q)), .write_data(in_data),
        .read(move), .read_address(address), .read_data(data_q)
    );

    always_ff @(posedge clk) begin
        if (move) begin
            outside_q      <= outside;
            late_outside_q <= outside_q;
            late_q         <= data_q;
            out_q          <= late_outside_q ? {LANES{BITS'(PAD_VALUE)}} : late_q;
            valid_q        <= enough;
            late_valid_q   <= valid_q;
            out_valid_q    <= late_valid_q;
        end
        if (rst) begin
            valid_q      <= 1'b0;
            late_valid_q <= 1'b0;
            out_valid_q  <= 1'b0;
        end
    end

    assign out_valid = out_valid_q;
    assign out_data  = out_q;

`ifndef SYNTHESIS
    initial if (LANES < 1 || BITS < 1 || BEATS < 1 || REPEAT < 1 || STRIDE_H < 1 || STRIDE_W < 1)
        $fatal(1, "%m: LANES=%0d, BITS=%0d, BEATS=%0d, REPEAT=%0d, STRIDE_H=%0d and STRIDE_W=%0d must be at least 1",
               LANES, BITS, BEATS, REPEAT, STRIDE_H, STRIDE_W);
    initial if (HEIGHT < 1 || WIDTH < 1 || OUT_HEIGHT < 1 || OUT_WIDTH < 1)
        $fatal(1, "%m: HEIGHT=%0d, WIDTH=%0d, OUT_HEIGHT=%0d and OUT_WIDTH=%0d must be at least 1",
               HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH);
    initial if (KERNEL_H < 1 || KERNEL_W < 1 || PAD_TOP < 0 || PAD_TOP >= KERNEL_H || PAD_LEFT < 0
                || PAD_LEFT >= KERNEL_W)
        $fatal(1, "%m: KERNEL_H=%0d must be more than PAD_TOP=%0d, KERNEL_W=%0d more than PAD_LEFT=%0d",
               KERNEL_H, PAD_TOP, KERNEL_W, PAD_LEFT);
    initial if (ROWS < KERNEL_H || (DEPTHWISE != 0 && REPEAT != BEATS))
        $fatal(1, "%m: ROWS=%0d must be at least KERNEL_H=%0d, REPEAT=%0d be BEATS=%0d if DEPTHWISE=%0d",
               ROWS, KERNEL_H, REPEAT, BEATS, DEPTHWISE);
    fg_stream_check #(.BITS(BEAT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(write_q) < DEPTH && int'(first_q) < DEPTH && int'(row_q) < DEPTH && room_q >= -1)
    );
`endif
endmodule
`default_nettype wire
