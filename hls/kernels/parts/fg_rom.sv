// SPDX-License-Identifier: Apache-2.0
// Constant words in banks of BANK words. One bank: latency 1. Several: latency 2, as a block RAM is slow and its output
// gets a register before a multiplexer picks the bank. Bank n is read from IMAGE with n (0 … 7) and ".hex" behind it.
// UltraRAM, which starts empty, has no banks; its words are loaded in beats of 32 bits, the lowest first.
`default_nettype none
module fg_rom #(
    parameter int  WORDS = 16,
    parameter int  BITS  = 8,
    parameter int  ADDR  = 4,   // bits of an address
    parameter int  BANK  = 16,  // words: >= WORDS, or a power of two
    parameter int  BLOCK = 0,   // 1: in block RAM, 0: in LUTs
    parameter int  ULTRA = 0,   // 1: in UltraRAM
    parameter      IMAGE = "words",
    localparam int BANKS = (WORDS + BANK - 1) / BANK,
    localparam int LOW   = BANKS > 1 ? $clog2(BANK) : ADDR,  // bits of an address inside a bank
    localparam int HIGH  = BANKS > 1 ? ADDR - LOW : 1
) (
    input  wire logic            clk,
    input  wire logic            move,  // the registers take what comes
    input  wire logic [ADDR-1:0] address,
    output      logic [BITS-1:0] word,
    input  wire logic            load_rst,   // the next beat is the first of the first word
    input  wire logic            load,       // a beat is there
    input  wire logic [31:0]     load_data
);
    genvar bank;
    generate
        if (ULTRA != 0) begin : g_ultra
            localparam int BEATS = (BITS + 31) / 32;
            localparam int BEAT  = BEATS > 1 ? $clog2(BEATS) : 1;
            logic [32*BEATS-1:0] beats_q;  // of the present word, the last at the top
            logic [BEAT-1:0]     beat_q;
            logic [ADDR-1:0]     to_q;
            wire [32*BEATS-1:0]  beats = (32*BEATS)'({load_data, beats_q} >> 32);
            wire                 last  = beat_q == BEAT'(BEATS - 1);
            wire [BITS-1:0]      read;

            always_ff @(posedge clk) begin
                if (load) begin
                    beats_q <= beats;
                    beat_q  <= last ? '0 : beat_q + 1'b1;
                    if (last) to_q <= to_q + 1'b1;
                end
                if (load_rst) begin
                    beat_q <= '0;
                    to_q   <= '0;
                end
            end

            fg_ram #(.BITS(BITS), .DEPTH(WORDS), .ADDR(ADDR), .SLICE(BITS), .ULTRA(1)) u_words (
                .clk(clk), .write(load && last), .write_address(to_q), .write_data(beats[BITS-1:0]),
                .read(move), .read_address(address), .read_data(read)
            );

            if (BANKS > 1) begin : g_held  // as late as banks
                logic [BITS-1:0] held_q;
                always_ff @(posedge clk) if (move) held_q <= read;
                assign word = held_q;
            end else begin : g_once
                assign word = read;
            end
        end else begin : g_banks
            logic [BANKS*BITS-1:0] read_q;
            wire                   unused = &{1'b0, load_rst, load, load_data};

            for (bank = 0; bank < BANKS; bank = bank + 1) begin : g_bank
                localparam int         HELD  = WORDS - bank*BANK < BANK ? WORDS - bank*BANK : BANK;
                localparam int         INDEX = HELD > 1 ? $clog2(HELD) : 1;  // bits
                localparam logic [7:0] DIGIT = 8'(48 + bank);  // ASCII

                if (BLOCK != 0) begin : g_rom
                    (* rom_style = "block", ram_style = "block" *) logic [BITS-1:0] memory [0:HELD-1];
                end else begin : g_rom
                    (* logic_block = 1 *) logic [BITS-1:0] memory [0:HELD-1];
                end
                initial $readmemh({IMAGE, DIGIT, ".hex"}, g_rom.memory);

                always_ff @(posedge clk) if (move) read_q[bank*BITS +: BITS] <= g_rom.memory[address[INDEX-1:0]];
            end

            if (BANKS > 1) begin : g_several
                logic [BANKS*BITS-1:0] held_q;
                logic [HIGH-1:0]       bank_q, bank_qq;

                always_ff @(posedge clk) begin
                    if (move) begin
                        held_q  <= read_q;
                        bank_q  <= address[ADDR-1 -: HIGH];
                        bank_qq <= bank_q;
                    end
                end
                assign word = held_q[bank_qq*BITS +: BITS];
            end else begin : g_one
                assign word = read_q;
            end
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (BITS < 1 || WORDS < 1 || ADDR != (WORDS > 1 ? $clog2(WORDS) : 1))
        $fatal(1, "%m: BITS=%0d and WORDS=%0d must be at least 1, ADDR=%0d the bits that count them",
               BITS, WORDS, ADDR);
    initial if (BANK < 1 || BANKS > 8 || (BANKS > 1 && BANK != 1 << $clog2(BANK)))
        $fatal(1, "%m: BANK=%0d must be WORDS=%0d or more, or a power of two that makes up to 8 banks", BANK, WORDS);
`endif
endmodule
`default_nettype wire
