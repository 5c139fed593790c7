// SPDX-License-Identifier: Apache-2.0
// Test source: offers word i of WORDS from cycle OFFERS[i] on, in order, until it is taken.
`default_nettype none
module fg_source #(
    parameter int BITS   = 8,
    parameter int BEATS  = 1,
    parameter     WORDS  = "words.hex",
    parameter     OFFERS = "offers.hex"
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic [63:0]     cycle,
    output      logic            valid,
    input  wire logic            ready,
    output      logic [BITS-1:0] data
);
    logic [BITS-1:0] words  [0:BEATS-1];
    logic [63:0]     offers [0:BEATS-1];
    initial $readmemh(WORDS, words);
    initial $readmemh(OFFERS, offers);

    logic [31:0] next_q;

    assign valid = !rst && next_q < BEATS && cycle >= offers[next_q];
    assign data  = words[next_q];

    always_ff @(posedge clk) begin
        if (valid && ready) next_q <= next_q + 1;
        if (rst) next_q <= '0;
    end
endmodule
`default_nettype wire
