// SPDX-License-Identifier: Apache-2.0
// What the ECP5's multiplier does, of what Yosys and the flow use: registers behind A, B, the product and P, each there if
// its _CLK says CLK0, held while CE0 is low. (Lattice, "ECP5 and ECP5-5G sysDSP Usage Guide", FPGA-TN-02205.)
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTA_CE = "CE0", REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE", REG_INPUTB_CE = "CE0", REG_INPUTB_RST = "RST0",
    parameter REG_PIPELINE_CLK = "NONE", REG_PIPELINE_CE = "CE0", REG_PIPELINE_RST = "RST0",
    parameter REG_OUTPUT_CLK = "NONE", REG_OUTPUT_CE = "CE0", REG_OUTPUT_RST = "RST0"
) (
    input CLK0, CE0, RST0, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input
          A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
          B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
          C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,  // not used: SOURCEB is B
    output
          P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16,
          P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    wire [17:0] a_bits = {
          A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0 };
    wire [17:0] b_bits = {
          B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0 };
    wire signed [18:0] a_in = {SIGNEDA && A17, a_bits}, b_in = {SIGNEDB && B17, b_bits};
    reg signed [18:0] a_q, b_q;
    reg signed [35:0] product_q, p_q;
    wire signed [18:0] a = REG_INPUTA_CLK == "CLK0" ? a_q : a_in;
    wire signed [18:0] b = REG_INPUTB_CLK == "CLK0" ? b_q : b_in;
    wire signed [35:0] own = 36'(a * b);
    wire signed [35:0] product = REG_PIPELINE_CLK == "CLK0" ? product_q : own;
    assign {
          P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16,
          P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
          } = REG_OUTPUT_CLK == "CLK0" ? p_q : product;

    always @(posedge CLK0) begin
        if (RST0) begin
            a_q <= 0;
            b_q <= 0;
            product_q <= 0;
            p_q <= 0;
        end else if (CE0) begin
            a_q <= a_in;
            b_q <= b_in;
            product_q <= own;
            p_q <= product;
        end
    end
endmodule
