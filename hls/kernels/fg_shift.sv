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
    // A group that does not begin and end with a beat is several pieces: some bits of some beats of each pixel.
    parameter int PIECES          = 2,
    // per piece, 16 bits each: its first and last beat inside a pixel, its lowest bit and how many bits it has of those
    // beats, its delay in frames = LOOKAHEAD - offset, and how many of its bits a block RAM keeps
    parameter logic [16*PIECES-1:0] FIRST  = '0,
    parameter logic [16*PIECES-1:0] LAST   = '0,
    parameter logic [16*PIECES-1:0] LOW    = '0,
    parameter logic [16*PIECES-1:0] WIDE   = {PIECES{16'd8}},
    parameter logic [16*PIECES-1:0] DELAY  = '0,
    parameter logic [16*PIECES-1:0] SLICES = {PIECES{16'd8}},
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

    logic [PIECES*BITS-1:0] piece_out;  // what each piece would put out, zeros beside its bits
    logic [PIECES-1:0]      pick_q;     // the pieces that the present output beat has, unless they lie outside the clip
    logic [BITS-1:0]        given_q;    // the present input beat, a cycle later

    always_ff @(posedge clk) if (room) given_q <= in_data;

    genvar p;
    generate
        for (p = 0; p < PIECES; p = p + 1) begin : g_piece
            localparam int FROM   = int'(FIRST[16*p +: 16]);
            localparam int TO     = int'(LAST[16*p +: 16]);
            localparam int BASE   = int'(LOW[16*p +: 16]);
            localparam int WIDTH  = int'(WIDE[16*p +: 16]);
            localparam int FRAME  = (TO - FROM + 1) * PIXELS;
            localparam int LATE   = int'(DELAY[16*p +: 16]);
            localparam int DEPTH  = LATE * FRAME;
            localparam int ADDR   = DEPTH > 1 ? $clog2(DEPTH) : 1;
            wire [WIDTH-1:0] given = given_q[BASE +: WIDTH];
            wire [WIDTH-1:0] put;
            wire mine   = int'(beat_q) >= FROM && int'(beat_q) <= TO;
            wire alive  = int'(slot_q) >= LATE && (ENDLESS != 0 || int'(slot_q) < FRAMES + LATE);

            always_ff @(posedge clk) if (room) pick_q[p] <= mine && alive;

            if (LATE == 0) begin : g_now
                assign put = given;
            end else begin : g_late
                logic [WIDTH-1:0] data_q;
                logic             write_q;

                always_ff @(posedge clk) write_q <= move && mine && !rst;

                if (DEPTH == 1) begin : g_one
                    logic [WIDTH-1:0] held_q;
                    always_ff @(posedge clk) begin
                        if (write_q) held_q <= given;
                        if (room) data_q <= write_q ? given : held_q;
                    end
                end else begin : g_ring
                    // A ring of DEPTH beats: the beat read was written DEPTH beats ago, and its place is written next.
                    localparam int SLICE = int'(SLICES[16*p +: 16]);
                    logic [ADDR-1:0] here_q, there_q;
                    fg_ram #(.BITS(WIDTH), .DEPTH(DEPTH), .ADDR(ADDR), .SLICE(SLICE)) u_ram (
                        .clk(clk),
                        .write(write_q), .write_address(there_q), .write_data(given),
                        .read(room), .read_address(here_q), .read_data(data_q)
                    );
                    always_ff @(posedge clk) begin
                        if (room) there_q <= here_q;
                        if (move && mine) here_q <= here_q == ADDR'(DEPTH - 1) ? '0 : here_q + 1'b1;
                        if (rst) here_q <= '0;
                    end
                end
                assign put = data_q;
            end
            assign piece_out[p*BITS +: BITS] = BITS'(put) << BASE;
        end
    endgenerate

    // A block RAM is slow and may lie far off: a register is all that stands behind it, then pieces are chosen.
    logic [PIECES*BITS-1:0] late_q;
    logic [PIECES-1:0]      late_pick_q;
    logic [BITS-1:0]        picked, out_q;

    integer i;
    always_comb begin
        picked = '0;
        for (i = 0; i < PIECES; i = i + 1)
            if (late_pick_q[i]) picked = picked | late_q[i*BITS +: BITS];
    end

    always_ff @(posedge clk) begin
        if (room) begin
            late_q      <= piece_out;
            late_pick_q <= pick_q;
            out_q       <= picked;
        end
    end
    assign out_data = out_q;

`ifndef SYNTHESIS
    initial if (BITS < 1 || BEATS_PER_PIXEL < 1 || PIXELS < 1 || FRAMES < 1 || PIECES < 1)
        $fatal(1, "%m: BITS=%0d, BEATS_PER_PIXEL=%0d, PIXELS=%0d, FRAMES=%0d and PIECES=%0d must be at least 1",
               BITS, BEATS_PER_PIXEL, PIXELS, FRAMES, PIECES);
    initial if (LOOKAHEAD < 0 || (ENDLESS != 0 && LOOKAHEAD != 0))
        $fatal(1, "%m: LOOKAHEAD=%0d must be at least 0, and 0 if ENDLESS=%0d", LOOKAHEAD, ENDLESS);
    fg_stream_check #(.BITS(BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(beat_q) < BEATS_PER_PIXEL && int'(pixel_q) < PIXELS && int'(slot_q) <= (ENDLESS != 0 ? OLDEST : SLOTS - 1))
    );
`endif
endmodule
`default_nettype wire
