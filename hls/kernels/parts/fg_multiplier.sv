// SPDX-License-Identifier: Apache-2.0
// Sum of COUNT products of two two's complement factors, a multiplier each. Latency 2: all factors have a register, and so
// has the sum. On an ECP5 flows/fg_multiplier_ecp5.sv takes this file's place, for counts on AMD's flows/fg_multiplier_xilinx.sv.
`default_nettype none
module fg_multiplier #(
    parameter int  A_BITS = 5,
    parameter int  B_BITS = 4,
    parameter int  COUNT  = 1,
    localparam int BITS   = A_BITS + B_BITS + COUNT - 1
) (
    input  wire logic                    clk,
    input  wire logic                    move,  // the registers take what comes
    input  wire logic [COUNT*A_BITS-1:0] a,
    input  wire logic [COUNT*B_BITS-1:0] b,
    output      logic signed [BITS-1:0]  product
);
    fg_inferred_multiplier #(.A_BITS(A_BITS), .B_BITS(B_BITS), .COUNT(COUNT)) u_inferred (
        .clk(clk), .move(move), .a(a), .b(b), .product(product)
    );

`ifndef SYNTHESIS
    initial if (A_BITS < 1 || B_BITS < 1 || COUNT < 1)
        $fatal(1, "%m: A_BITS=%0d, B_BITS=%0d and COUNT=%0d must be at least 1", A_BITS, B_BITS, COUNT);
`endif
endmodule
`default_nettype wire
