// SPDX-License-Identifier: Apache-2.0
// What UltraScale+'s DSP slice does, of what fg_multiplier_xilinx.sv uses: registers behind A, B and perhaps P, product and
// cascade. (AMD, "UltraScale Architecture DSP Slice", UG579.) Anything else makes P unknown.
module DSP48E2 #(
    parameter int AREG = 1, BREG = 1, ACASCREG = 1, BCASCREG = 1, MREG = 1, PREG = 1, CREG = 1, DREG = 1, ADREG = 1,
    parameter int INMODEREG = 1, OPMODEREG = 1, ALUMODEREG = 1, CARRYINREG = 1, CARRYINSELREG = 1
) (
    input  CLK, CEA1, CEA2, CEB1, CEB2, CEC, CED, CEAD, CEM, CEP, CECTRL, CEALUMODE, CECARRYIN, CEINMODE,
    input  RSTA, RSTB, RSTC, RSTD, RSTM, RSTP, RSTCTRL, RSTALUMODE, RSTALLCARRYIN, RSTINMODE,
    input  [29:0] A, ACIN,
    input  [17:0] B, BCIN,
    input  [47:0] C, PCIN,
    input  [26:0] D,
    input  [8:0]  OPMODE,
    input  [4:0]  INMODE,
    input  [3:0]  ALUMODE,
    input  [2:0]  CARRYINSEL,
    input         CARRYIN, CARRYCASCIN, MULTSIGNIN,
    output [47:0] P, PCOUT
);
    // One register each for A and B, none for the product and for what selects.
    localparam bit KNOWN = AREG == 1 && BREG == 1 && ACASCREG == 1 && BCASCREG == 1 && MREG == 0 && INMODEREG == 0
                         && OPMODEREG == 0 && ALUMODEREG == 0 && CARRYINREG == 0 && CARRYINSELREG == 0;
    wire none = {RSTA, RSTB, RSTC, RSTD, RSTM, RSTP, RSTCTRL, RSTALUMODE, RSTALLCARRYIN, RSTINMODE} == 0
             && ALUMODE == 0 && INMODE == 0 && CARRYINSEL == 0 && CARRYIN == 0 && OPMODE[8:6] == 0 && OPMODE[5] == 0;

    reg signed [26:0] a_q;
    reg signed [17:0] b_q;
    reg        [47:0] p_q;
    wire signed [47:0] product = a_q * b_q;
    wire        [47:0] x_y = OPMODE[3:0] == 4'b0101 ? product : 'x;  // both multiplexers take the product's halves
    wire        [47:0] z = OPMODE[4] ? PCIN : 0;
    wire        [47:0] sum = KNOWN && none ? x_y + z : 'x;

    assign P = PREG != 0 ? p_q : sum;
    assign PCOUT = P;

    always @(posedge CLK) begin
        if (CEA2) a_q <= A[26:0];
        if (CEB2) b_q <= B;
        if (CEP) p_q <= sum;
    end
endmodule
