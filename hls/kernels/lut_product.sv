// SPDX-License-Identifier: Apache-2.0
// Product of two two's complement factors without a multiplier: a sum of shifted a. Latency 2, as multiplier.sv.
module lut_product #(
    parameter int A_BITS = 5,
    parameter int B_BITS = 4  // at most 4
) (
    input  logic                            clk,
    input  logic                            move,  // the registers take what comes
    input  logic signed [A_BITS-1:0]        a,
    input  logic signed [B_BITS-1:0]        b,
    output logic signed [A_BITS+B_BITS-1:0] product
);
    localparam int HALF = B_BITS / 2;
    localparam int BITS = A_BITS + B_BITS;
    localparam logic signed [A_BITS-1:0] NOTHING = 0;

    logic signed [A_BITS-1:0] a_q;
    logic signed [B_BITS-1:0] b_q;
    logic signed [A_BITS+1:0] low, high;  // half of the bits of b each; the top one counts negative

    assign low  = (b_q[0] ? a_q : NOTHING) + (HALF > 1 && b_q[1 % B_BITS] ? a_q <<< 1 : NOTHING);
    assign high = (B_BITS - HALF > 1 && b_q[HALF] ? a_q : NOTHING)
                - (b_q[B_BITS-1] ? a_q <<< (B_BITS - HALF - 1) : NOTHING);

    always_ff @(posedge clk) begin
        if (move) begin
            a_q     <= a;
            b_q     <= b;
            product <= BITS'(low) + (BITS'(high) <<< HALF);
        end
    end
endmodule
