// SPDX-License-Identifier: Apache-2.0
// Sum of COUNT products of two two's complement factors, by multipliers or by LUTs. Latency 2.
`default_nettype none
module fg_product #(
    parameter int  A_BITS  = 5,
    parameter int  B_BITS  = 4,
    parameter int  COUNT   = 1,
    parameter int  IN_LUTS = 0,  // 1: a sum of shifted a, without a multiplier; then COUNT = 1, B_BITS <= 4
    localparam int BITS    = A_BITS + B_BITS + COUNT - 1
) (
    input  wire logic                    clk,
    input  wire logic                    move,  // the registers take what comes
    input  wire logic [COUNT*A_BITS-1:0] a,
    input  wire logic [COUNT*B_BITS-1:0] b,
    output      logic signed [BITS-1:0]  product
);
    generate
        if (IN_LUTS != 0) begin : g_luts
            fg_lut_product #(.A_BITS(A_BITS), .B_BITS(B_BITS)) u_product (
                .clk(clk), .move(move), .a(a[A_BITS-1:0]), .b(b[B_BITS-1:0]), .product(product)
            );
        end else begin : g_multiplier
            fg_multiplier #(.A_BITS(A_BITS), .B_BITS(B_BITS), .COUNT(COUNT)) u_product (
                .clk(clk), .move(move), .a(a), .b(b), .product(product)
            );
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (A_BITS < 1 || B_BITS < 1 || COUNT < 1 || (IN_LUTS != 0 && (COUNT > 1 || B_BITS > 4)))
        $fatal(1, "%m: A_BITS=%0d, B_BITS=%0d and COUNT=%0d must be at least 1, and with IN_LUTS=%0d no more than any, 4 and 1",
               A_BITS, B_BITS, COUNT, IN_LUTS);
`endif
endmodule
`default_nettype wire
