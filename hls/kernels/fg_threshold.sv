// SPDX-License-Identifier: Apache-2.0
// Activation: BASE + how many of a channel's ascending thresholds the value reaches, one bit of the search per cycle.
// II = 1, latency OUT_BITS + 1, and 2 more per level in block RAM: its output has a register, as it is slow, and so has the
// bit that it decides, as the next block is far.
// LEVELn holds the thresholds of search level n: word beat * 2**n + prefix, one per lane. Those that are in UltraRAM are loaded,
// level by level: the first one's words whole, of all others a memory per lane.
`default_nettype none
module fg_threshold #(
    parameter int  LANES     = 1,   // channels in one beat
    parameter int  BEATS     = 1,   // beats after which the thresholds repeat
    parameter int  IN_BITS   = 16,  // bits of the value
    parameter int  IN_SIGNED = 1,   // two's complement if 1
    parameter int  OUT_BITS  = 4,   // search levels, <= 8
    parameter int  BASE      = 0,   // output below the first threshold
    parameter int  SLOW      = 0,   // bit n: level n is in block RAM
    parameter int  ULTRA     = 0,   // 1: levels in block RAM are in UltraRAM, loaded before the first value
    parameter      LEVEL0    = "level0.hex",
    parameter      LEVEL1    = "level1.hex",
    parameter      LEVEL2    = "level2.hex",
    parameter      LEVEL3    = "level3.hex",
    parameter      LEVEL4    = "level4.hex",
    parameter      LEVEL5    = "level5.hex",
    parameter      LEVEL6    = "level6.hex",
    parameter      LEVEL7    = "level7.hex",
    localparam int BEAT      = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int STAGES    = OUT_BITS + 1 + 2*$countones(SLOW[7:0]),
    localparam int LOADS     = ULTRA != 0 && SLOW != 0 ? SLOW % 2 + LANES*$countones(SLOW[7:1]) : 1
) (
    input  wire logic                      clk,
    input  wire logic                      rst,
    input  wire logic                      in_valid,
    output      logic                      in_ready,
    input  wire logic [LANES*IN_BITS-1:0]  in_data,
    output      logic                      out_valid,
    input  wire logic                      out_ready,
    output      logic [LANES*OUT_BITS-1:0] out_data,
    input  wire logic                      load_rst,  // see fg_rom.sv
    input  wire logic [LOADS-1:0]          load,      // per memory
    input  wire logic [31:0]               load_data
);
    logic                move;
    logic [STAGES-1:0]   valid_q;
    logic [BEAT-1:0]     beat_q;
    // [n]: beat and values whose first n bits are known; 0 is the input.
    logic [BEAT-1:0]           beat   [0:OUT_BITS];
    logic [LANES*IN_BITS-1:0]  value  [0:OUT_BITS];
    logic [LANES*OUT_BITS-1:0] prefix [0:OUT_BITS];  // OUT_BITS per lane, low bits used
    logic [LANES*OUT_BITS-1:0] ahead  [0:OUT_BITS];  // the same without the last bit, which is known later in a cycle
    wire                       unused_ahead = &{1'b0, ahead[OUT_BITS]};  // nor is what stands before a level in block RAM
    logic [LANES*OUT_BITS-1:0] out_q;

    assign move      = out_ready || !valid_q[STAGES-1];
    assign in_ready  = move;
    assign out_valid = valid_q[STAGES-1];
    assign out_data  = out_q;
    assign beat[0]   = beat_q;
    assign value[0]  = in_data;
    assign prefix[0] = '0;
    assign ahead[0]  = '0;

    always_ff @(posedge clk) begin
        if (move) begin
            valid_q <= {valid_q[STAGES-2:0], in_valid};
            if (in_valid) beat_q <= beat_q == BEAT'(BEATS - 1) ? '0 : beat_q + 1'b1;
        end
        if (rst) begin
            valid_q <= '0;
            beat_q  <= '0;
        end
    end

    genvar n, lane;
    generate
        if (ULTRA == 0 || SLOW == 0) begin : g_not_loaded
            wire unused = &{1'b0, load_rst, load, load_data};
        end
        for (n = 0; n < OUT_BITS; n = n + 1) begin : g_level
            localparam int BLOCK    = (SLOW >> n) % 2;
            localparam int AFTER    = n > 0 ? (SLOW >> (n > 0 ? n - 1 : 0)) % 2 : 1;  // the bits before are registers
            localparam int LOADED   = ULTRA != 0 && BLOCK != 0 ? 1 : 0;
            localparam int MEMORIES = LOADED != 0 && n > 0 ? LANES : 1;
            localparam int FIRST    = n > 0 ? SLOW % 2 + LANES*$countones(SLOW[7:1] & ((1 << (n > 0 ? n - 1 : 0)) - 1)) : 0;
            wire [MEMORIES-1:0] loads = LOADED != 0 ? load[(LOADED != 0 ? FIRST : 0) +: MEMORIES] : '0;

            fg_threshold_level #(
                .LANES(LANES), .BEATS(BEATS), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED), .OUT_BITS(OUT_BITS),
                .LEVEL(n), .BLOCK(BLOCK), .AFTER(AFTER), .ULTRA(LOADED),
                .LEVEL0(LEVEL0), .LEVEL1(LEVEL1), .LEVEL2(LEVEL2), .LEVEL3(LEVEL3),
                .LEVEL4(LEVEL4), .LEVEL5(LEVEL5), .LEVEL6(LEVEL6), .LEVEL7(LEVEL7)
            ) u_level (
                .clk(clk), .move(move),
                .early_beat(beat[n > 0 ? n - 1 : 0]), .beat(beat[n]), .value(value[n]), .prefix(prefix[n]), .ahead(ahead[n]),
                .next_beat(beat[n+1]), .next_value(value[n+1]), .next_prefix(prefix[n+1]), .next_ahead(ahead[n+1]),
                .load_rst(load_rst), .load(loads), .load_data(load_data)
            );
        end

        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_out
            always_ff @(posedge clk) begin
                if (move) out_q[lane*OUT_BITS +: OUT_BITS] <= prefix[OUT_BITS][lane*OUT_BITS +: OUT_BITS] + OUT_BITS'(BASE);
            end
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (LANES < 1 || BEATS < 1 || IN_BITS < 1)
        $fatal(1, "%m: LANES=%0d, BEATS=%0d and IN_BITS=%0d must be at least 1", LANES, BEATS, IN_BITS);
    initial if (OUT_BITS < 1 || OUT_BITS > 8 || SLOW < 0 || SLOW >> OUT_BITS != 0)
        $fatal(1, "%m: OUT_BITS=%0d must be 1 to 8, SLOW=%0d a bit for each", OUT_BITS, SLOW);
    fg_stream_check #(.BITS(LANES*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(beat_q) < BEATS)
    );
`endif
endmodule
`default_nettype wire
