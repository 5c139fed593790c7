// SPDX-License-Identifier: Apache-2.0
// Test source: offers word i of WORDS from cycle OFFERS[i] on, in order, until it is taken; `count` words in all. Behind the
// last of its `words` comes word `again`.
`default_nettype none
module fg_source #(
    parameter int BITS   = 8,
    parameter int ROOM   = 1,  // words that it has room for
    parameter     WORDS  = "words.hex",
    parameter     OFFERS = "offers.hex"
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic [63:0]     cycle,
    input  wire logic [63:0]     count,
    input  wire logic [31:0]     words,
    input  wire logic [31:0]     again,
    input  wire logic            hold,  // offer no further word
    output      logic            valid,
    input  wire logic            ready,
    output      logic [BITS-1:0] data
);
    logic [BITS-1:0] values [0:ROOM-1];
    logic [63:0]     offers [0:ROOM-1];
    initial $readmemh(WORDS, values);
    initial $readmemh(OFFERS, offers);

    logic [31:0] sent_q, next_q;

    assign valid = !rst && !hold && 64'(sent_q) < count && cycle >= offers[next_q];
    assign data  = values[next_q];

    always_ff @(posedge clk) begin
        if (valid && ready) begin
            sent_q <= sent_q + 1;
            next_q <= next_q == words - 1 ? again : next_q + 1;
        end
        if (rst) begin
            sent_q <= '0;
            next_q <= '0;
        end
    end
endmodule
`default_nettype wire
