// SPDX-License-Identifier: Apache-2.0
// One factor of HELD weights, so that one multiplication gives a product of each: (… + second * 2**FIELD + first) * x. The
// products lie side by side; one below zero has borrowed one from the product above, which fg_joint_sum.sv gives back.
// A weight comes as a digit: less one where the rows below it are negative together. No latency.
`default_nettype none
module fg_joint_factor #(
    parameter int  WEIGHT_BITS = 4,  // of a digit, two's complement
    parameter int  HELD        = 2,  // weights
    parameter int  FIELD       = 9,  // bits from one to the next, > WEIGHT_BITS
    localparam int JOINT       = HELD > 1 ? (HELD - 1)*FIELD + WEIGHT_BITS + 1 : WEIGHT_BITS
) (
    input  wire logic [HELD*WEIGHT_BITS-1:0] digits,
    output      logic [JOINT-1:0]            factor
);
    wire [HELD:0] negative;  // the rows below are

    assign negative[0] = 1'b0;

    genvar p;
    generate
        for (p = 0; p < HELD; p = p + 1) begin : g_row
            localparam int         WIDTH = p < HELD - 1 ? FIELD : JOINT - p*FIELD;
            wire [WEIGHT_BITS-1:0] digit = digits[p*WEIGHT_BITS +: WEIGHT_BITS];
            // One has been borrowed for the rows below if those are negative: the largest digit is then one too few.
            assign negative[p+1] = digit[WEIGHT_BITS-1] || (negative[p] && &digit[WEIGHT_BITS-2:0]);
            assign factor[p*FIELD +: WIDTH] = WIDTH'($signed({negative[p+1], digit}));
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (WEIGHT_BITS < 2 || HELD < 1 || FIELD <= WEIGHT_BITS)
        $fatal(1, "%m: WEIGHT_BITS=%0d must be at least 2, HELD=%0d at least 1, FIELD=%0d wider than a weight",
               WEIGHT_BITS, HELD, FIELD);
`endif
endmodule
`default_nettype wire
