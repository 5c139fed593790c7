// SPDX-License-Identifier: Apache-2.0
// What the ECP5's multiplier does, of what fg_multiplier_ecp5.sv uses, with its registers turned on by the flow: A, B and P
// on CLK0, held while CE0 is low. (Lattice, "ECP5 and ECP5-5G sysDSP Usage Guide", FPGA-TN-02205.)
module MULT18X18D (
    input CLK0, CE0, RST0, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input
          A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
          B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    output
          P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16,
          P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    reg signed [17:0] a_q, b_q;
    reg signed [35:0] p_q;
    wire signed [17:0] a = {
          A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0 };
    wire signed [17:0] b = {
          B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0 };
    assign {
          P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16,
          P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0 } = p_q;

    always @(posedge CLK0) begin
        if (RST0) begin
            a_q <= 0;
            b_q <= 0;
            p_q <= 0;
        end else if (CE0) begin
            a_q <= a;
            b_q <= b;
            p_q <= a_q * b_q;
        end
    end
endmodule
