// SPDX-License-Identifier: Apache-2.0
// kernels/fg_multiplier.sv for UltraScale+, as Vivado makes it of that file: factors and sum stay in registers of DSP48E2, and
// all but the last multiplier pass their sums on by PCOUT. (AMD, "UltraScale Architecture DSP Slice", UG579.) Yosys, which
// counts, leaves both unused up to 0.70. Wider factors are left to synthesis.
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
    genvar n;
    generate
        if (A_BITS <= 18 && B_BITS <= 27) begin : g_dsp
            wire [48*COUNT-1:0] p, cascade;
            wire                unused = &{1'b0, p, cascade};  // sums on their way, the last one's cascade
            assign product = p[48*(COUNT-1) +: BITS];

            for (n = 0; n < COUNT; n = n + 1) begin : g_product
                localparam int        LAST   = n == COUNT - 1 ? 1 : 0;
                wire signed [17:0]    narrow = 18'($signed(a[n*A_BITS +: A_BITS]));
                wire signed [29:0]    wide   = 30'($signed(b[n*B_BITS +: B_BITS]));
                wire        [47:0]    below;

                if (n == 0) begin : g_first
                    assign below = '0;
                end else begin : g_next
                    assign below = cascade[48*(n-1) +: 48];
                end

                DSP48E2 #(
                    .AREG(1), .BREG(1), .ACASCREG(1), .BCASCREG(1), .MREG(0), .PREG(LAST), .CREG(0), .DREG(0), .ADREG(0),
                    .INMODEREG(0), .OPMODEREG(0), .ALUMODEREG(0), .CARRYINREG(0), .CARRYINSELREG(0)
                ) u_mult (
                    .CLK(clk), .CEA2(move), .CEB2(move), .CEP(move),
                    .A(wide), .B(narrow), .PCIN(below), .P(p[48*n +: 48]), .PCOUT(cascade[48*n +: 48]),
                    .OPMODE(n == 0 ? 9'b000000101 : 9'b000010101),  // the product, and what comes from below
                    .ALUMODE(4'd0), .INMODE(5'd0), .CARRYINSEL(3'd0), .CARRYIN(1'b0), .C(48'd0), .D(27'd0),
                    .ACIN(30'd0), .BCIN(18'd0), .CARRYCASCIN(1'b0), .MULTSIGNIN(1'b0),
                    .CEA1(1'b0), .CEB1(1'b0), .CEC(1'b0), .CED(1'b0), .CEAD(1'b0), .CEM(1'b0), .CECTRL(1'b0), .CEALUMODE(1'b0),
                    .CECARRYIN(1'b0), .CEINMODE(1'b0), .RSTA(1'b0), .RSTB(1'b0), .RSTC(1'b0), .RSTD(1'b0), .RSTM(1'b0),
                    .RSTP(1'b0), .RSTCTRL(1'b0), .RSTALUMODE(1'b0), .RSTALLCARRYIN(1'b0), .RSTINMODE(1'b0)
                );
            end
        end else begin : g_wide
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
