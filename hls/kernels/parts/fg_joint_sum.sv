// SPDX-License-Identifier: Apache-2.0
// Adds TERMS words up, each of HELD fields side by side: TOGETHER levels of fg_adder_tree.sv with the fields as they are, then
// a register in which they are split, then the other levels with the fields apart. II = 1, latency LEVELS + 1.
`default_nettype none
module fg_joint_sum #(
    parameter int  TERMS    = 4,
    parameter int  HELD     = 2,   // fields of a word
    parameter int  FIELD    = 9,   // bits of a field, two's complement; one below zero has borrowed one from that above
    parameter int  OUT_BITS = 12,  // bits of a sum
    parameter int  LEVELS   = 1,   // in all
    parameter int  TOGETHER = 1,   // of them before the split
    localparam int WORD     = HELD * FIELD,
    localparam int LEFT     = (TERMS + (1 << 2*TOGETHER) - 1) >> 2*TOGETHER  // words behind those
) (
    input  wire logic                     clk,
    input  wire logic                     move,  // the registers take what comes
    input  wire logic [TERMS*WORD-1:0]    terms,
    output      logic [HELD*OUT_BITS-1:0] sums
);
    wire [LEFT*WORD-1:0] joint;

    fg_adder_tree #(.COUNT(TERMS), .BITS(WORD), .LEVELS(TOGETHER)) u_together (
        .clk(clk), .move(move), .fields(terms), .sums(joint)
    );

    genvar p, s;
    generate
        for (p = 0; p < HELD; p = p + 1) begin : g_row
            logic [LEFT*OUT_BITS-1:0] split_q;

            for (s = 0; s < LEFT; s = s + 1) begin : g_left
                wire signed [FIELD-1:0] field    = joint[s*WORD + p*FIELD +: FIELD];
                wire                    borrowed = p > 0 && joint[s*WORD + (p > 0 ? p*FIELD - 1 : 0)];
                wire signed [FIELD-1:0] own      = field + FIELD'(borrowed);
                wire                    unused   = &{1'b0, own};  // its top bits may repeat the sign
                always_ff @(posedge clk) if (move) split_q[s*OUT_BITS +: OUT_BITS] <= OUT_BITS'(own);
            end

            fg_adder_tree #(.COUNT(LEFT), .BITS(OUT_BITS), .LEVELS(LEVELS - TOGETHER)) u_apart (
                .clk(clk), .move(move), .fields(split_q), .sums(sums[p*OUT_BITS +: OUT_BITS])
            );
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (TERMS < 1 || HELD < 1 || FIELD < 1 || OUT_BITS < 1)
        $fatal(1, "%m: TERMS=%0d, HELD=%0d, FIELD=%0d and OUT_BITS=%0d must be at least 1", TERMS, HELD, FIELD, OUT_BITS);
    initial if (TOGETHER < 0 || TOGETHER > LEVELS || 1 << 2*LEVELS < TERMS)
        $fatal(1, "%m: LEVELS=%0d must add TERMS=%0d up, TOGETHER=%0d be some of them", LEVELS, TERMS, TOGETHER);
`endif
endmodule
`default_nettype wire
