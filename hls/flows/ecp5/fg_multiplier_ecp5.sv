// SPDX-License-Identifier: Apache-2.0
// kernels/fg_multiplier.sv for the ECP5: factors and product stay in registers of MULT18X18D, which synthesis leaves unused.
// (Lattice, "ECP5 and ECP5-5G sysDSP Usage Guide", FPGA-TN-02205.) `registered` makes the flow turn them on, after logic
// is mapped: up to 0.70 Yosys' ABC9 dies of the parameters. Wider factors, and sums, are left to synthesis.
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
    generate
        if (COUNT == 1 && A_BITS <= 18 && B_BITS <= 18) begin : g_one
            wire signed [17:0] wide_a = 18'($signed(a));
            wire signed [17:0] wide_b = 18'($signed(b));
            wire signed [35:0] p;
            wire               unused = &{1'b0, p};  // its top bits may repeat the sign
            assign product = p[BITS-1:0];

            (* registered *)
            MULT18X18D u_mult (
                .CLK0(clk), .CE0(move), .RST0(1'b0),
                .SIGNEDA(1'b1), .SIGNEDB(1'b1), .SOURCEA(1'b0), .SOURCEB(1'b0),
                .A0(wide_a[0]), .A1(wide_a[1]), .A2(wide_a[2]), .A3(wide_a[3]), .A4(wide_a[4]), .A5(wide_a[5]),
                .A6(wide_a[6]), .A7(wide_a[7]), .A8(wide_a[8]), .A9(wide_a[9]), .A10(wide_a[10]), .A11(wide_a[11]),
                .A12(wide_a[12]), .A13(wide_a[13]), .A14(wide_a[14]), .A15(wide_a[15]), .A16(wide_a[16]), .A17(wide_a[17]),
                .B0(wide_b[0]), .B1(wide_b[1]), .B2(wide_b[2]), .B3(wide_b[3]), .B4(wide_b[4]), .B5(wide_b[5]),
                .B6(wide_b[6]), .B7(wide_b[7]), .B8(wide_b[8]), .B9(wide_b[9]), .B10(wide_b[10]), .B11(wide_b[11]),
                .B12(wide_b[12]), .B13(wide_b[13]), .B14(wide_b[14]), .B15(wide_b[15]), .B16(wide_b[16]), .B17(wide_b[17]),
                .P0(p[0]), .P1(p[1]), .P2(p[2]), .P3(p[3]), .P4(p[4]), .P5(p[5]),
                .P6(p[6]), .P7(p[7]), .P8(p[8]), .P9(p[9]), .P10(p[10]), .P11(p[11]),
                .P12(p[12]), .P13(p[13]), .P14(p[14]), .P15(p[15]), .P16(p[16]), .P17(p[17]),
                .P18(p[18]), .P19(p[19]), .P20(p[20]), .P21(p[21]), .P22(p[22]), .P23(p[23]),
                .P24(p[24]), .P25(p[25]), .P26(p[26]), .P27(p[27]), .P28(p[28]), .P29(p[29]),
                .P30(p[30]), .P31(p[31]), .P32(p[32]), .P33(p[33]), .P34(p[34]), .P35(p[35])
            );
        end else begin : g_several
            fg_inferred_multiplier #(.A_BITS(A_BITS), .B_BITS(B_BITS), .COUNT(COUNT)) u_inferred (
                .clk(clk), .move(move), .a(a), .b(b), .product(product)
            );
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (A_BITS < 1 || B_BITS < 1 || COUNT < 1)
        $fatal(1, "%m: A_BITS=%0d, B_BITS=%0d and COUNT=%0d must be at least 1", A_BITS, B_BITS, COUNT);
`endif
endmodule
`default_nettype wire
