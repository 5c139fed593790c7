// SPDX-License-Identifier: Apache-2.0
// What fg_multiplier.sv does, in words from which synthesis makes multipliers or logic. Flows whose own fg_multiplier.sv names
// cells come here for factors that are too wide for those.
`default_nettype none
module fg_inferred_multiplier #(
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
    logic [COUNT*A_BITS-1:0] a_q;
    logic [COUNT*B_BITS-1:0] b_q;
    wire [COUNT*BITS-1:0]    sums;  // of the products up to each

    genvar n;
    generate
        for (n = 0; n < COUNT; n = n + 1) begin : g_product
            wire signed [A_BITS-1:0] a_n   = a_q[n*A_BITS +: A_BITS];
            wire signed [B_BITS-1:0] b_n   = b_q[n*B_BITS +: B_BITS];
            wire signed [BITS-1:0]   own   = a_n * b_n;
            wire signed [BITS-1:0]   below = n > 0 ? sums[(n > 0 ? n - 1 : 0)*BITS +: BITS] : '0;
            assign sums[n*BITS +: BITS] = own + below;
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (move) begin
            a_q     <= a;
            b_q     <= b;
            product <= sums[(COUNT-1)*BITS +: BITS];
        end
    end

`ifndef SYNTHESIS
    initial if (A_BITS < 1 || B_BITS < 1 || COUNT < 1)
        $fatal(1, "%m: A_BITS=%0d, B_BITS=%0d and COUNT=%0d must be at least 1", A_BITS, B_BITS, COUNT);
`endif
endmodule
`default_nettype wire
