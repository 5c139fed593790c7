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
    localparam int LOADS     = ULTRA != 0 && SLOW != 0 ? SLOW % 2 + LANES*$countones(SLOW[7:1]) : 1,
    localparam int T         = IN_BITS + 1  // one bit more: a threshold may lie above every value
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
            localparam int DEPTH  = BEATS << n;
            localparam int ADDR   = DEPTH > 1 ? $clog2(DEPTH) : 1;
            localparam int BLOCK  = (SLOW >> n) % 2;
            localparam int LOADED = ULTRA != 0 && BLOCK != 0 ? 1 : 0;
            localparam int KEPT   = LOADED != 0 ? 1 : DEPTH;  // words here: of a level in UltraRAM none is read
            localparam int AFTER  = n > 0 ? (SLOW >> (n > 0 ? n - 1 : 0)) % 2 : 1;  // the bits before are registers
            logic [BEAT-1:0]           beat_n;
            logic [LANES*IN_BITS-1:0]  value_n;
            logic [LANES*OUT_BITS-1:0] prefix_n, prefix_next;

            if (LOADED != 0) begin : g_ultra
                localparam int MEMORIES = n > 0 ? LANES : 1;
                localparam int BITS     = LANES*T / MEMORIES;
                localparam int FIRST    = n > 0 ? SLOW % 2 + LANES*$countones(SLOW[7:1] & ((1 << (n > 0 ? n - 1 : 0)) - 1)) : 0;
                wire [LANES*T-1:0] words;  // a threshold per lane

                for (lane = 0; lane < MEMORIES; lane = lane + 1) begin : g_memory
                    wire [ADDR-1:0] word = ADDR'((32'(beat[n]) << n) | 32'(prefix[n][lane*OUT_BITS +: OUT_BITS]));
                    fg_rom #(.WORDS(DEPTH), .BITS(BITS), .ADDR(ADDR), .BANK(DEPTH), .ULTRA(1)) u_words (
                        .clk(clk), .move(move), .address(word), .word(words[lane*BITS +: BITS]),
                        .load_rst(load_rst), .load(load[FIRST + lane]), .load_data(load_data)
                    );
                end
            end

            if (BLOCK != 0) begin : g_rom
                (* rom_style = "block", ram_style = "block" *) logic [LANES*T-1:0] memory [0:KEPT-1];
            end else begin : g_rom
                (* logic_block = 1 *) logic [LANES*T-1:0] memory [0:KEPT-1];
            end

            if (n == 0 && LOADED == 0) begin : g_0
                initial $readmemh(LEVEL0, g_rom.memory);
            end
            if (n == 1 && LOADED == 0) begin : g_1
                initial $readmemh(LEVEL1, g_rom.memory);
            end
            if (n == 2 && LOADED == 0) begin : g_2
                initial $readmemh(LEVEL2, g_rom.memory);
            end
            if (n == 3 && LOADED == 0) begin : g_3
                initial $readmemh(LEVEL3, g_rom.memory);
            end
            if (n == 4 && LOADED == 0) begin : g_4
                initial $readmemh(LEVEL4, g_rom.memory);
            end
            if (n == 5 && LOADED == 0) begin : g_5
                initial $readmemh(LEVEL5, g_rom.memory);
            end
            if (n == 6 && LOADED == 0) begin : g_6
                initial $readmemh(LEVEL6, g_rom.memory);
            end
            if (n == 7 && LOADED == 0) begin : g_7
                initial $readmemh(LEVEL7, g_rom.memory);
            end

            if (BLOCK != 0) begin : g_slow
                logic [BEAT-1:0]           read_beat_q;
                logic [LANES*IN_BITS-1:0]  value_q;
                logic [LANES*OUT_BITS-1:0] prefix_q;
                always_ff @(posedge clk) begin
                    if (move) begin
                        read_beat_q <= beat[n];
                        value_q     <= value[n];
                        prefix_q    <= prefix[n];
                        beat_n      <= read_beat_q;
                        value_n     <= value_q;
                        prefix_n    <= prefix_q;
                    end
                end
            end else begin : g_fast
                always_ff @(posedge clk) begin
                    if (move) begin
                        beat_n   <= beat[n];
                        value_n  <= value[n];
                        prefix_n <= prefix[n];
                    end
                end
            end

            for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
                logic [LANES*T-1:0] word_q;
                logic [T-1:0]       limit;
                wire                unused = &{1'b0, word_q};  // the other lanes' thresholds

                if (BLOCK != 0 || AFTER != 0) begin : g_word
                    wire [OUT_BITS-1:0] known = prefix[n][lane*OUT_BITS +: OUT_BITS];
                    wire [ADDR-1:0]     word  = ADDR'((32'(beat[n]) << n) | 32'(known));
                    if (LOADED != 0) begin : g_loaded
                        assign word_q = g_ultra.words;
                    end else begin : g_read
                        always_ff @(posedge clk) if (move) word_q <= g_rom.memory[word];
                    end
                end else begin : g_both
                    // Behind the comparison that gives the last bit lies only the choice of one of two words.
                    logic [LANES*T-1:0] lower, upper;
                    if (n == 1) begin : g_before  // the beat alone tells them, a cycle before
                        wire [ADDR-1:0] word = ADDR'(32'(beat[0]) << 1);
                        always_ff @(posedge clk) begin
                            if (move) begin
                                lower <= g_rom.memory[word];
                                upper <= g_rom.memory[word | ADDR'(1)];
                            end
                        end
                    end else begin : g_now
                        wire [OUT_BITS-1:0] early = ahead[n][lane*OUT_BITS +: OUT_BITS];
                        wire [ADDR-1:0]     word  = ADDR'((32'(beat[n]) << n) | (32'(early) << 1));
                        assign lower = g_rom.memory[word];
                        assign upper = g_rom.memory[word | ADDR'(1)];
                    end
                    always_ff @(posedge clk) if (move) word_q <= prefix[n][lane*OUT_BITS] ? upper : lower;
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

            if (BLOCK != 0) begin : g_known
                logic [BEAT-1:0]           beat_qq;
                logic [LANES*IN_BITS-1:0]  value_qq;
                logic [LANES*OUT_BITS-1:0] prefix_qq;
                always_ff @(posedge clk) begin
                    if (move) begin
                        beat_qq   <= beat_n;
                        value_qq  <= value_n;
                        prefix_qq <= prefix_next;
                    end
                end
                assign beat[n+1]   = beat_qq;
                assign value[n+1]  = value_qq;
                assign prefix[n+1] = prefix_qq;
                assign ahead[n+1]  = prefix_qq;  // not used
            end else begin : g_new
                assign beat[n+1]   = beat_n;
                assign value[n+1]  = value_n;
                assign prefix[n+1] = prefix_next;
                assign ahead[n+1]  = prefix_n;
            end
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
