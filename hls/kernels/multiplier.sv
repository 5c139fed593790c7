// SPDX-License-Identifier: Apache-2.0
// Product of two two's complement factors on a multiplier. Latency 2: both factors have a register, and so has the
// product. On an ECP5 flows/ecp5_multiplier.sv takes this file's place.
module multiplier #(
    parameter int A_BITS = 5,
    parameter int B_BITS = 4
) (
    input  logic                            clk,
    input  logic                            move,  // the registers take what comes
    input  logic signed [A_BITS-1:0]        a,
    input  logic signed [B_BITS-1:0]        b,
    output logic signed [A_BITS+B_BITS-1:0] product
);
    logic signed [A_BITS-1:0] a_q;
    logic signed [B_BITS-1:0] b_q;

    always_ff @(posedge clk) begin
        if (move) begin
            a_q     <= a;
            b_q     <= b;
            product <= a_q * b_q;
        end
    end
endmodule
