// SPDX-License-Identifier: Apache-2.0
// One level of the search of fg_threshold.sv: of LANES values, of whose output the first LEVEL bits are known, it tells the next
// bit. II = 1, latency 1; of a level in block RAM 3, as its output is slow and the next block far.
// LEVELn holds the thresholds of level n: word beat * 2**n + prefix, one per lane.
`default_nettype none
module fg_threshold_level #(
    parameter int  LANES     = 1,   // channels in one beat
    parameter int  BEATS     = 1,   // beats after which the thresholds repeat
    parameter int  IN_BITS   = 16,  // bits of the value
    parameter int  IN_SIGNED = 1,   // two's complement if 1
    parameter int  OUT_BITS  = 4,   // search levels
    parameter int  LEVEL     = 0,   // this one
    parameter int  BLOCK     = 0,   // 1: in block RAM
    parameter int  AFTER     = 1,   // 1: the known bits are registers; 0: the last one lies behind a comparison
    parameter int  ULTRA     = 0,   // 1: in UltraRAM instead, loaded before the first value
    parameter      LEVEL0    = "level0.hex",
    parameter      LEVEL1    = "level1.hex",
    parameter      LEVEL2    = "level2.hex",
    parameter      LEVEL3    = "level3.hex",
    parameter      LEVEL4    = "level4.hex",
    parameter      LEVEL5    = "level5.hex",
    parameter      LEVEL6    = "level6.hex",
    parameter      LEVEL7    = "level7.hex",
    localparam int BEAT      = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int T         = IN_BITS + 1,  // one bit more: a threshold may lie above every value
    localparam int DEPTH     = BEATS << LEVEL,
    localparam int ADDR      = DEPTH > 1 ? $clog2(DEPTH) : 1,
    localparam int KEPT      = ULTRA != 0 ? 1 : DEPTH,              // words here: of a level in UltraRAM none is read
    localparam int MEMORIES  = ULTRA != 0 && LEVEL > 0 ? LANES : 1  // of the first level all lanes read one word
) (
    input  wire logic                      clk,
    input  wire logic                      move,         // the registers take what comes
    input  wire logic [BEAT-1:0]           early_beat,   // of the value that comes next
    input  wire logic [BEAT-1:0]           beat,
    input  wire logic [LANES*IN_BITS-1:0]  value,
    input  wire logic [LANES*OUT_BITS-1:0] prefix,       // OUT_BITS per lane, the known bits at the low end
    input  wire logic [LANES*OUT_BITS-1:0] ahead,        // the same without the last bit, which is known later in a cycle
    output      logic [BEAT-1:0]           next_beat,
    output      logic [LANES*IN_BITS-1:0]  next_value,
    output      logic [LANES*OUT_BITS-1:0] next_prefix,
    output      logic [LANES*OUT_BITS-1:0] next_ahead,
    input  wire logic                      load_rst,     // see fg_rom.sv
    input  wire logic [MEMORIES-1:0]       load,
    input  wire logic [31:0]               load_data
);
    logic [BEAT-1:0]           beat_n;  // beside the words that are read
    logic [LANES*IN_BITS-1:0]  value_n;
    logic [LANES*OUT_BITS-1:0] prefix_n, prefix_next;

    genvar lane;
    generate
        if (BLOCK != 0 || AFTER != 0) begin : g_known
            wire unused = &{1'b0, early_beat, ahead};
        end else if (LEVEL == 1) begin : g_known
            wire unused = &{1'b0, ahead};
        end else begin : g_known
            wire unused = &{1'b0, early_beat};
        end

        if (ULTRA != 0) begin : g_ultra
            localparam int BITS = LANES*T / MEMORIES;
            wire [LANES*T-1:0] words;  // a threshold per lane

            for (lane = 0; lane < MEMORIES; lane = lane + 1) begin : g_memory
                wire [ADDR-1:0] word = ADDR'((32'(beat) << LEVEL) | 32'(prefix[lane*OUT_BITS +: OUT_BITS]));
                fg_rom #(.WORDS(DEPTH), .BITS(BITS), .ADDR(ADDR), .BANK(DEPTH), .ULTRA(1)) u_words (
                    .clk(clk), .move(move), .address(word), .word(words[lane*BITS +: BITS]),
                    .load_rst(load_rst), .load(load[lane]), .load_data(load_data)
                );
            end
        end else begin : g_not_loaded
            wire unused = &{1'b0, load_rst, load, load_data};
        end

        if (BLOCK != 0) begin : g_rom
            (* rom_style = "block", ram_style = "block" *) logic [LANES*T-1:0] memory [0:KEPT-1];
        end else begin : g_rom
            (* logic_block = 1 *) logic [LANES*T-1:0] memory [0:KEPT-1];
        end

        if (LEVEL == 0 && ULTRA == 0) begin : g_0
            initial $readmemh(LEVEL0, g_rom.memory);
        end
        if (LEVEL == 1 && ULTRA == 0) begin : g_1
            initial $readmemh(LEVEL1, g_rom.memory);
        end
        if (LEVEL == 2 && ULTRA == 0) begin : g_2
            initial $readmemh(LEVEL2, g_rom.memory);
        end
        if (LEVEL == 3 && ULTRA == 0) begin : g_3
            initial $readmemh(LEVEL3, g_rom.memory);
        end
        if (LEVEL == 4 && ULTRA == 0) begin : g_4
            initial $readmemh(LEVEL4, g_rom.memory);
        end
        if (LEVEL == 5 && ULTRA == 0) begin : g_5
            initial $readmemh(LEVEL5, g_rom.memory);
        end
        if (LEVEL == 6 && ULTRA == 0) begin : g_6
            initial $readmemh(LEVEL6, g_rom.memory);
        end
        if (LEVEL == 7 && ULTRA == 0) begin : g_7
            initial $readmemh(LEVEL7, g_rom.memory);
        end

        if (BLOCK != 0) begin : g_slow
            logic [BEAT-1:0]           read_beat_q;
            logic [LANES*IN_BITS-1:0]  value_q;
            logic [LANES*OUT_BITS-1:0] prefix_q;
            always_ff @(posedge clk) begin
                if (move) begin
                    read_beat_q <= beat;
                    value_q     <= value;
                    prefix_q    <= prefix;
                    beat_n      <= read_beat_q;
                    value_n     <= value_q;
                    prefix_n    <= prefix_q;
                end
            end
        end else begin : g_fast
            always_ff @(posedge clk) begin
                if (move) begin
                    beat_n   <= beat;
                    value_n  <= value;
                    prefix_n <= prefix;
                end
            end
        end

        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            logic [LANES*T-1:0] word_q;
            logic [T-1:0]       limit;
            wire                unused = &{1'b0, word_q};  // the other lanes' thresholds

            if (BLOCK != 0 || AFTER != 0) begin : g_word
                wire [OUT_BITS-1:0] known = prefix[lane*OUT_BITS +: OUT_BITS];
                wire [ADDR-1:0]     word  = ADDR'((32'(beat) << LEVEL) | 32'(known));
                if (ULTRA != 0) begin : g_loaded
                    assign word_q = g_ultra.words;
                end else begin : g_read
                    always_ff @(posedge clk) if (move) word_q <= g_rom.memory[word];
                end
            end else begin : g_both
                // Behind the comparison that gives the last bit lies only the choice of one of two words.
                logic [LANES*T-1:0] lower, upper;
                if (LEVEL == 1) begin : g_before  // the beat alone tells them, a cycle before
                    wire [ADDR-1:0] word = ADDR'(32'(early_beat) << 1);
                    always_ff @(posedge clk) begin
                        if (move) begin
                            lower <= g_rom.memory[word];
                            upper <= g_rom.memory[word | ADDR'(1)];
                        end
                    end
                end else begin : g_now
                    wire [OUT_BITS-1:0] early = ahead[lane*OUT_BITS +: OUT_BITS];
                    wire [ADDR-1:0]     word  = ADDR'((32'(beat) << LEVEL) | (32'(early) << 1));
                    assign lower = g_rom.memory[word];
                    assign upper = g_rom.memory[word | ADDR'(1)];
                end
                always_ff @(posedge clk) if (move) word_q <= prefix[lane*OUT_BITS] ? upper : lower;
            end

            if (BLOCK != 0) begin : g_slow
                always_ff @(posedge clk) if (move) limit <= word_q[lane*T +: T];
            end else begin : g_fast
                assign limit = word_q[lane*T +: T];
            end

            wire [IN_BITS-1:0]  x     = value_n[lane*IN_BITS +: IN_BITS];
            wire [T-1:0]        wide  = {(IN_SIGNED != 0) && x[IN_BITS-1], x};
            // Flipping the top bit makes the unsigned comparison serve two's complement as well.
            wire [T-1:0]        flip  = {IN_SIGNED != 0, {IN_BITS{1'b0}}};
            wire                above = (wide ^ flip) >= (limit ^ flip);
            wire [OUT_BITS-1:0] so_far = prefix_n[lane*OUT_BITS +: OUT_BITS];
            assign prefix_next[lane*OUT_BITS +: OUT_BITS] = OUT_BITS'({so_far, above});
        end

        if (BLOCK != 0) begin : g_late
            logic [BEAT-1:0]           beat_q;
            logic [LANES*IN_BITS-1:0]  value_q;
            logic [LANES*OUT_BITS-1:0] prefix_q;
            always_ff @(posedge clk) begin
                if (move) begin
                    beat_q   <= beat_n;
                    value_q  <= value_n;
                    prefix_q <= prefix_next;
                end
            end
            assign next_beat   = beat_q;
            assign next_value  = value_q;
            assign next_prefix = prefix_q;
            assign next_ahead  = prefix_q;  // not used
        end else begin : g_new
            assign next_beat   = beat_n;
            assign next_value  = value_n;
            assign next_prefix = prefix_next;
            assign next_ahead  = prefix_n;
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (LANES < 1 || BEATS < 1 || IN_BITS < 1)
        $fatal(1, "%m: LANES=%0d, BEATS=%0d and IN_BITS=%0d must be at least 1", LANES, BEATS, IN_BITS);
    initial if (LEVEL < 0 || LEVEL >= OUT_BITS || OUT_BITS > 8)
        $fatal(1, "%m: LEVEL=%0d must be one of OUT_BITS=%0d, of which there are 8 at most", LEVEL, OUT_BITS);
    initial if ((ULTRA != 0 && BLOCK == 0) || (LEVEL == 0 && AFTER == 0))
        $fatal(1, "%m: ULTRA=%0d must be 0 if BLOCK=%0d, AFTER=%0d be 1 if LEVEL=%0d", ULTRA, BLOCK, AFTER, LEVEL);
`endif
endmodule
`default_nettype wire
