// SPDX-License-Identifier: Apache-2.0
// Product of two two's complement factors without a multiplier: a sum of shifted a. Latency 2, as fg_multiplier.sv.
`default_nettype none
module fg_lut_product #(
    parameter int A_BITS = 5,
    parameter int B_BITS = 4  // at most 4
) (
    input  wire logic                            clk,
    input  wire logic                            move,  // the registers take what comes
    input  wire logic signed [A_BITS-1:0]        a,
    input  wire logic signed [B_BITS-1:0]        b,
    output      logic signed [A_BITS+B_BITS-1:0] product
);
    localparam int BITS = A_BITS + B_BITS;
    localparam int HALF = B_BITS / 2;

    logic signed [A_BITS-1:0] a_q;
    logic signed [B_BITS-1:0] b_q;
    wire signed  [BITS-1:0]   sum;

    generate
        if (B_BITS == 2 && A_BITS > 3) begin : g_ternary
            // One of 0, a, ~a, ~2a: four inputs per bit; then the 1 that makes of ~ a minus. (Of smaller factors a bit of the
            // product is a LUT.)
            wire signed [A_BITS:0] once  = (A_BITS+1)'(a_q);
            wire signed [A_BITS:0] twice = {a_q, 1'b0};
            wire signed [A_BITS:0] size  = b_q[0] ? once : b_q[1] ? twice : '0;
            wire signed [A_BITS:0] ones  = size ^ {(A_BITS+1){b_q[1]}};
            assign sum = BITS'(ones) + BITS'($signed({1'b0, b_q[1]}));
        end else begin : g_rows
            localparam logic signed [A_BITS+1:0] NOTHING = '0;
            wire signed [A_BITS+1:0]  once = (A_BITS+2)'(a_q);
            logic signed [A_BITS+1:0] low, high;  // half of the bits of b each; the top one counts negative

            assign low  = (b_q[0] ? once : NOTHING) + (HALF > 1 && b_q[1 % B_BITS] ? once <<< 1 : NOTHING);
            assign high = (B_BITS - HALF > 1 && b_q[HALF] ? once : NOTHING)
                        - (b_q[B_BITS-1] ? once <<< (B_BITS - HALF - 1) : NOTHING);
            assign sum  = BITS'(low) + (BITS'(high) <<< HALF);
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (move) begin
            a_q     <= a;
            b_q     <= b;
            product <= sum;
        end
    end

`ifndef SYNTHESIS
    initial if (A_BITS < 2 || B_BITS < 2 || B_BITS > 4)
        $fatal(1, "%m: A_BITS=%0d must be at least 2, B_BITS=%0d 2 to 4", A_BITS, B_BITS);
`endif
endmodule
`default_nettype wire
