// SPDX-License-Identifier: Apache-2.0
// Temporal shift: each group of channels is delayed by its own number of frames; zeros outside the clip.
// Takes FRAMES frames, gives the first after LOOKAHEAD more have come and the last LOOKAHEAD by itself. II = 1, latency 3.
`default_nettype none
module fg_shift #(
    parameter int BITS            = 8,  // bits of a beat
    parameter int BEATS_PER_PIXEL = 4,
    parameter int PIXELS          = 4,  // of a frame
    parameter int FRAMES          = 8,  // of a clip
    parameter int LOOKAHEAD       = 1,  // largest future offset
    parameter int ENDLESS         = 0,  // 1: no clips; every frame is followed by the next for ever (LOOKAHEAD = 0)
    parameter int OLDEST          = 2,  // largest delay in frames
    parameter int GROUPS          = 2,
    // per group, 16 bits each: first and last beat of each group inside a pixel, delay in frames = LOOKAHEAD - offset
    parameter logic [16*GROUPS-1:0] FIRST = '0,
    parameter logic [16*GROUPS-1:0] LAST  = '0,
    parameter logic [16*GROUPS-1:0] DELAY = '0,
    parameter logic [16*GROUPS-1:0] SLICES = {GROUPS{16'd8}},  // per group, the bits of a beat that a block RAM keeps
    localparam int SLOTS = FRAMES + LOOKAHEAD,  // frame times of a clip
    localparam int SLOT  = $clog2((SLOTS > OLDEST ? SLOTS : OLDEST) + 1),
    localparam int BEAT  = BEATS_PER_PIXEL > 1 ? $clog2(BEATS_PER_PIXEL) : 1,
    localparam int PIXEL = PIXELS > 1 ? $clog2(PIXELS) : 1
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
    logic [BEAT-1:0]  beat_q;
    logic [PIXEL-1:0] pixel_q;
    logic [SLOT-1:0]  slot_q;
    logic             room, flush, move, last_beat, last_pixel;
    logic             valid_q, late_valid_q, out_valid_q;

    assign room       = out_ready || !out_valid_q;
    assign flush      = ENDLESS == 0 && slot_q >= SLOT'(FRAMES);
    assign move       = room && (flush || in_valid);
    assign in_ready   = room && !flush;
    assign last_beat  = beat_q == BEAT'(BEATS_PER_PIXEL - 1);
    assign last_pixel = pixel_q == PIXEL'(PIXELS - 1);
    assign out_valid  = out_valid_q;

    always_ff @(posedge clk) begin
        if (room) begin
            valid_q      <= move && int'(slot_q) >= LOOKAHEAD;
            late_valid_q <= valid_q;
            out_valid_q  <= late_valid_q;
        end
        if (move) begin
            beat_q <= last_beat ? '0 : beat_q + 1'b1;
            if (last_beat) pixel_q <= last_pixel ? '0 : pixel_q + 1'b1;
            if (last_beat && last_pixel) begin
                if (ENDLESS != 0) slot_q <= slot_q == SLOT'(OLDEST) ? slot_q : slot_q + 1'b1;
                else slot_q <= slot_q == SLOT'(SLOTS - 1) ? '0 : slot_q + 1'b1;
            end
        end
        if (rst) begin
            valid_q      <= 1'b0;
            late_valid_q <= 1'b0;
            out_valid_q  <= 1'b0;
            beat_q       <= '0;
            pixel_q      <= '0;
            slot_q       <= '0;
        end
    end

    logic [GROUPS*BITS-1:0] lane_out;  // what each group would put out
    logic [GROUPS-1:0]      pick_q;    // the group that the present output beat belongs to, unless it lies outside the clip
    logic [BITS-1:0]        given_q;   // the present input beat, a cycle later

    always_ff @(posedge clk) if (room) given_q <= in_data;

    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : g_group
            localparam int FROM   = int'(FIRST[16*g +: 16]);
            localparam int TO     = int'(LAST[16*g +: 16]);
            localparam int FRAME  = (TO - FROM + 1) * PIXELS;
            localparam int LATE   = int'(DELAY[16*g +: 16]);
            localparam int DEPTH  = LATE * FRAME;
            localparam int ADDR   = DEPTH > 1 ? $clog2(DEPTH) : 1;
            wire mine   = int'(beat_q) >= FROM && int'(beat_q) <= TO;
            wire alive  = int'(slot_q) >= LATE && (ENDLESS != 0 || int'(slot_q) < FRAMES + LATE);

            always_ff @(posedge clk) if (room) pick_q[g] <= mine && alive;

            if (LATE == 0) begin : g_now
                assign lane_out[g*BITS +: BITS] = given_q;
            end else begin : g_late
                logic [BITS-1:0] data_q;
                logic            write_q;

                always_ff @(posedge clk) write_q <= move && mine && !rst;

                if (DEPTH == 1) begin : g_one
                    logic [BITS-1:0] held_q;
                    always_ff @(posedge clk) begin
                        if (write_q) held_q <= given_q;
                        if (room) data_q <= write_q ? given_q : held_q;
                    end
                end else begin : g_ring
                    // A ring of DEPTH beats: the beat read was written DEPTH beats ago, and its place is written next.
                    localparam int SLICE = int'(SLICES[16*g +: 16]);
                    logic [ADDR-1:0] here_q, there_q;
                    fg_ram #(.BITS(BITS), .DEPTH(DEPTH), .ADDR(ADDR), .SLICE(SLICE)) u_ram (
                        .clk(clk),
                        .write(write_q), .write_address(there_q), .write_data(given_q),
                        .read(room), .read_address(here_q), .read_data(data_q)
                    );
                    always_ff @(posedge clk) begin
                        if (room) there_q <= here_q;
                        if (move && mine) here_q <= here_q == ADDR'(DEPTH - 1) ? '0 : here_q + 1'b1;
                        if (rst) here_q <= '0;
                    end
                end
                assign lane_out[g*BITS +: BITS] = data_q;
            end
        end
    endgenerate

    // A block RAM is slow and may lie far off: a register is all that stands behind it, then a group is chosen.
    logic [GROUPS*BITS-1:0] late_q;
    logic [GROUPS-1:0]      late_pick_q;
    logic [BITS-1:0]        picked, out_q;

    integer i;
    always_comb begin
        picked = '0;
        for (i = 0; i < GROUPS; i = i + 1)
            if (late_pick_q[i]) picked = picked | late_q[i*BITS +: BITS];
    end

    always_ff @(posedge clk) begin
        if (room) begin
            late_q      <= lane_out;
            late_pick_q <= pick_q;
            out_q       <= picked;
        end
    end
    assign out_data = out_q;

`ifndef SYNTHESIS
    initial if (BITS < 1 || BEATS_PER_PIXEL < 1 || PIXELS < 1 || FRAMES < 1 || GROUPS < 1)
        $fatal(1, "%m: BITS=%0d, BEATS_PER_PIXEL=%0d, PIXELS=%0d, FRAMES=%0d and GROUPS=%0d must be at least 1",
               BITS, BEATS_PER_PIXEL, PIXELS, FRAMES, GROUPS);
    initial if (LOOKAHEAD < 0 || (ENDLESS != 0 && LOOKAHEAD != 0))
        $fatal(1, "%m: LOOKAHEAD=%0d must be at least 0, and 0 if ENDLESS=%0d", LOOKAHEAD, ENDLESS);
    fg_stream_check #(.BITS(BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(beat_q) < BEATS_PER_PIXEL && int'(pixel_q) < PIXELS && int'(slot_q) <= (ENDLESS != 0 ? OLDEST : SLOTS - 1))
    );
`endif
endmodule
`default_nettype wire
