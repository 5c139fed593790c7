// SPDX-License-Identifier: Apache-2.0
// Frame gather: per pixel, TAPS ranges of channels, each from its own frame; zeros outside the clip. A ring keeps the
// last frames and two pixels more, so that one pixel is written while another is read. II = 1, latency 3.
`default_nettype none
module fg_frame_gather #(
    parameter int BITS      = 8,  // bits of a beat
    parameter int BEATS     = 2,  // beats of an input pixel
    parameter int PIXELS    = 4,  // of a frame
    parameter int FRAMES    = 4,  // of a clip
    parameter int OUTPUTS   = 4,  // output frames of a clip
    parameter int STRIDE    = 1,  // input frames from one output frame to the next
    parameter int LOOKAHEAD = 1,  // frame times from the start of a clip to its first output frame
    parameter int DEPTHWISE = 0,  // 1: all taps of a beat, then the next beat, instead of all beats of a tap
    parameter int ENDLESS   = 0,  // 1: no clips; every frame is followed by the next for ever (LOOKAHEAD = 0)
    parameter int PAUSE     = 0,  // cycles of rest behind a pixel that was sent, for a reader that is slower
    parameter int KEPT      = 2,  // frames before the newest that a tap reads
    parameter int SLICE     = 8,  // bits of a beat that a block RAM keeps
    parameter int ULTRA     = 0,  // 1: the memory is in UltraRAM
    parameter int TAPS      = 3,
    // per tap, 16 bits each: first beat inside a pixel, number of beats, frames behind the newest one
    parameter logic [16*TAPS-1:0] FIRST = '0,
    parameter logic [16*TAPS-1:0] COUNT = '0,
    parameter logic [16*TAPS-1:0] DELAY = '0,
    localparam int LAST   = (OUTPUTS - 1) * STRIDE + LOOKAHEAD,  // frame time of the last output frame
    localparam int SLOTS  = FRAMES > LAST + 1 ? FRAMES : LAST + 1,  // frame times of a clip
    localparam int DEPTH  = (KEPT * PIXELS + 2) * BEATS,
    localparam int ADDR   = $clog2(DEPTH + 1),  // holds DEPTH as well
    localparam int PLACE  = $clog2(DEPTH),      // an address of the memory
    localparam int BEAT   = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int PIXEL  = PIXELS > 1 ? $clog2(PIXELS) : 1,
    localparam int SLOT   = $clog2((SLOTS > KEPT ? SLOTS : KEPT) + 1),
    localparam int TAP    = TAPS > 1 ? $clog2(TAPS) : 1,
    localparam int REST   = PAUSE > 0 ? $clog2(PAUSE + 1) : 1,
    localparam int WAIT   = $clog2((LOOKAHEAD > STRIDE ? LOOKAHEAD : STRIDE) + 1)
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            in_valid,
    output      logic            in_ready,
    input  wire logic [BITS-1:0] in_data,
    output      logic            out_valid,
    input  wire logic            out_ready,
    output      logic [BITS-1:0] out_data
);
    logic [1:0] ahead_q;  // pixels written and not yet read to their end: 0 … 2

    // ------------------------------------------------------------------------------------------------- writer
    // Behind the last frame of a clip, frames pass that nothing is written for, a pixel per cycle.
    logic [ADDR-1:0]  write_q;  // start of the present pixel in the ring
    logic [BEAT-1:0]  part_q;   // beats of it done
    logic [PIXEL-1:0] write_pixel_q;
    logic [SLOT-1:0]  write_slot_q;
    logic             free, flush, take, pixel_in, end_write;

    assign free      = ahead_q != 2'd2;
    assign flush     = ENDLESS == 0 && write_slot_q >= SLOT'(FRAMES);
    assign in_ready  = free && !flush;
    assign take      = in_valid && in_ready;
    assign pixel_in  = free && flush || take && part_q == BEAT'(BEATS - 1);
    assign end_write = pixel_in && write_pixel_q == PIXEL'(PIXELS - 1);

    always_ff @(posedge clk) begin
        if (take) part_q <= pixel_in ? '0 : part_q + 1'b1;
        if (pixel_in) begin
            write_q       <= write_q == ADDR'(DEPTH - BEATS) ? '0 : write_q + ADDR'(BEATS);
            write_pixel_q <= end_write ? '0 : write_pixel_q + 1'b1;
        end
        if (end_write && ENDLESS == 0) write_slot_q <= write_slot_q == SLOT'(SLOTS - 1) ? '0 : write_slot_q + 1'b1;
        if (rst) begin
            part_q        <= '0;
            write_q       <= '0;
            write_pixel_q <= '0;
            write_slot_q  <= '0;
        end
    end

    // ------------------------------------------------------------------------------------------------- reader
    logic [ADDR-1:0]  read_q;   // start of the present pixel in the ring
    logic [PIXEL-1:0] pixel_q;
    logic [SLOT-1:0]  slot_q;   // frame time; if ENDLESS it stays at KEPT
    logic [WAIT-1:0]  wait_q;   // frame times until the next output frame
    logic [TAP-1:0]   tap_q;
    logic [BEAT-1:0]  beat_q;
    logic [REST-1:0]  rest_q;   // cycles until the next pixel may be read
    logic             emits, enough, room, step, end_tap, end_pixel, end_frame, end_clip;
    logic             valid_q, out_valid_q, alive, alive_q, out_alive_q;
    logic [15:0]      first, count, delay;  // of the present tap

    wire unused = &{1'b0, first, delay};  // 16 bits are more than there are beats and frames
    assign first     = FIRST[16*tap_q +: 16];
    assign count     = COUNT[16*tap_q +: 16];
    assign delay     = DELAY[16*tap_q +: 16];
    assign emits     = wait_q == '0 && (ENDLESS != 0 || 32'(slot_q) <= LAST);
    assign enough    = ahead_q != '0 && rest_q == '0;
    assign room      = out_ready || !out_valid_q;
    assign step      = enough && (room || !emits);
    assign end_tap   = emits ? 16'(beat_q) == count - 16'd1 : beat_q == BEAT'(BEATS - 1);
    assign end_pixel = step && end_tap && (!emits || tap_q == TAP'(TAPS - 1));
    assign end_frame = end_pixel && pixel_q == PIXEL'(PIXELS - 1);
    assign end_clip  = ENDLESS == 0 && slot_q == SLOT'(SLOTS - 1);
    assign alive     = 32'(slot_q) >= 32'(delay) && (ENDLESS != 0 || 32'(slot_q) < FRAMES + 32'(delay));

    always_ff @(posedge clk) begin
        if (step) begin
            if (emits && DEPTHWISE != 0) begin
                tap_q <= tap_q == TAP'(TAPS - 1) ? '0 : tap_q + 1'b1;
                if (tap_q == TAP'(TAPS - 1)) beat_q <= end_tap ? '0 : beat_q + 1'b1;
            end else begin
                beat_q <= end_tap ? '0 : beat_q + 1'b1;
                if (end_tap && emits) tap_q <= tap_q == TAP'(TAPS - 1) ? '0 : tap_q + 1'b1;
            end
        end
        if (end_pixel) begin
            read_q  <= read_q == ADDR'(DEPTH - BEATS) ? '0 : read_q + ADDR'(BEATS);
            pixel_q <= end_frame ? '0 : pixel_q + 1'b1;
        end
        if (end_frame) begin
            if (ENDLESS != 0) slot_q <= slot_q == SLOT'(KEPT) ? slot_q : slot_q + 1'b1;
            else slot_q <= end_clip ? '0 : slot_q + 1'b1;
            if (end_clip) wait_q <= WAIT'(LOOKAHEAD);
            else wait_q <= wait_q == '0 ? WAIT'(STRIDE - 1) : wait_q - 1'b1;
        end
        if (end_pixel && emits) rest_q <= REST'(PAUSE);
        else if (rest_q != '0) rest_q <= rest_q - 1'b1;
        ahead_q <= ahead_q + 2'(pixel_in) - 2'(end_pixel);
        if (rst) begin
            tap_q   <= '0;
            beat_q  <= '0;
            read_q  <= '0;
            pixel_q <= '0;
            slot_q  <= '0;
            wait_q  <= WAIT'(LOOKAHEAD);
            rest_q  <= '0;
            ahead_q <= '0;
        end
    end

    // ------------------------------------------------------------------------------------------------- output
    logic signed [ADDR+1:0] place, behind;
    logic [PLACE-1:0]       address;
    logic [BITS-1:0]        data_q, out_q;  // a block RAM is slow: a register is all that stands behind it

    assign behind  = $signed((ADDR+2)'(32'(delay) * PIXELS * BEATS));
    assign place   = $signed((ADDR+2)'(read_q)) + $signed((ADDR+2)'(first)) + $signed((ADDR+2)'(beat_q)) - behind;
    assign address = PLACE'(place < 0 ? place + $signed((ADDR+2)'(DEPTH)) : place);

    fg_ram #(.BITS(BITS), .DEPTH(DEPTH), .ADDR(PLACE), .SLICE(SLICE), .ULTRA(ULTRA)) u_ram (
        .clk(clk),
        .write(take), .write_address(PLACE'(write_q + ADDR'(part_q))), .write_data(in_data),
        .read(room), .read_address(address), .read_data(data_q)
    );

    always_ff @(posedge clk) begin
        if (room) begin
            alive_q     <= alive;
            out_alive_q <= alive_q;
            out_q       <= data_q;
            valid_q     <= enough && emits;
            out_valid_q <= valid_q;
        end
        if (rst) begin
            valid_q     <= 1'b0;
            out_valid_q <= 1'b0;
        end
    end

    assign out_valid = out_valid_q;
    assign out_data  = out_alive_q ? out_q : '0;

`ifndef SYNTHESIS
    initial if (BEATS < 1 || PIXELS < 1 || FRAMES < 1 || OUTPUTS < 1 || STRIDE < 1 || TAPS < 1)
        $fatal(1, "%m: BEATS=%0d, PIXELS=%0d, FRAMES=%0d, OUTPUTS=%0d, STRIDE=%0d and TAPS=%0d must be at least 1",
               BEATS, PIXELS, FRAMES, OUTPUTS, STRIDE, TAPS);
    initial if (LOOKAHEAD < 0 || KEPT < 0 || PAUSE < 0 || (ENDLESS != 0 && LOOKAHEAD != 0))
        $fatal(1, "%m: LOOKAHEAD=%0d, KEPT=%0d and PAUSE=%0d must be at least 0, the first 0 if ENDLESS=%0d",
               LOOKAHEAD, KEPT, PAUSE, ENDLESS);
    fg_stream_check #(.BITS(BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(write_q) < DEPTH && int'(read_q) < DEPTH && int'(beat_q) < BEATS && ahead_q != 2'd3)
    );
`endif
endmodule
`default_nettype wire
