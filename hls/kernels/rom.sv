// SPDX-License-Identifier: Apache-2.0
// Constant words in banks of BANK words. One bank: latency 1. Several: latency 2, as a block RAM is slow and its output
// gets a register before a multiplexer picks the bank. Bank n is read from IMAGE with n (0 … 7) and ".hex" behind it.
module rom #(
    parameter int  WORDS = 16,
    parameter int  BITS  = 8,
    parameter int  ADDR  = 4,   // bits of an address
    parameter int  BANK  = 16,  // words: >= WORDS, or a power of two
    parameter int  BLOCK = 0,   // 1: in block RAM, 0: in LUTs
    parameter      IMAGE = "words",
    localparam int BANKS = (WORDS + BANK - 1) / BANK,
    localparam int LOW   = BANKS > 1 ? $clog2(BANK) : ADDR,  // bits of an address inside a bank
    localparam int HIGH  = BANKS > 1 ? ADDR - LOW : 1
) (
    input  logic            clk,
    input  logic            move,  // the registers take what comes
    input  logic [ADDR-1:0] address,
    output logic [BITS-1:0] word
);
    logic [BANKS*BITS-1:0] read_q;

    genvar bank;
    generate
        for (bank = 0; bank < BANKS; bank = bank + 1) begin : g_bank
            localparam int         HELD  = WORDS - bank*BANK < BANK ? WORDS - bank*BANK : BANK;
            localparam logic [7:0] DIGIT = 8'(48 + bank);  // ASCII

            if (BLOCK != 0) begin : g_rom
                (* rom_style = "block", ram_style = "block" *) logic [BITS-1:0] memory [0:HELD-1];
            end else begin : g_rom
                (* logic_block = 1 *) logic [BITS-1:0] memory [0:HELD-1];
            end
            initial $readmemh({IMAGE, DIGIT, ".hex"}, g_rom.memory);

            always_ff @(posedge clk) if (move) read_q[bank*BITS +: BITS] <= g_rom.memory[address[LOW-1:0]];
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
    endgenerate
endmodule
