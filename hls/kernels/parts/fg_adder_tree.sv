// SPDX-License-Identifier: Apache-2.0
// Sums of COUNT fields, four by four, LEVELS times: ceil(COUNT / 4**LEVELS) fields are left. II = 1, latency LEVELS.
`default_nettype none
module fg_adder_tree #(
    parameter int  COUNT  = 4,
    parameter int  BITS   = 8,  // of a field, two's complement, wide enough for the sums
    parameter int  LEVELS = 1,
    localparam int LEFT   = (COUNT + (1 << 2*LEVELS) - 1) >> 2*LEVELS
) (
    input  wire logic                  clk,
    input  wire logic                  move,  // the registers take what comes
    input  wire logic [COUNT*BITS-1:0] fields,
    output      logic [LEFT*BITS-1:0]  sums
);
    // Level n adds four fields of the level before into one: ceil(COUNT / 4**n) of them count, the rest is zero.
    logic [4*COUNT*BITS-1:0] level [0:LEVELS];

    assign level[0] = (4*COUNT*BITS)'(fields);
    assign sums     = level[LEVELS][LEFT*BITS-1:0];

    genvar n, s;
    generate
        if (LEVELS == 0) begin : g_none
            wire unused = &{1'b0, clk, move};
        end
        for (n = 0; n < LEVELS; n = n + 1) begin : g_level
            localparam int FIELDS = (COUNT + (4 << 2*n) - 1) >> (2*n + 2);
            logic [FIELDS*BITS-1:0] sum_q;

            for (s = 0; s < FIELDS; s = s + 1) begin : g_four
                wire signed [BITS-1:0] a = level[n][(4*s)*BITS +: BITS];
                wire signed [BITS-1:0] b = level[n][(4*s + 1)*BITS +: BITS];
                wire signed [BITS-1:0] c = level[n][(4*s + 2)*BITS +: BITS];
                wire signed [BITS-1:0] d = level[n][(4*s + 3)*BITS +: BITS];
                (* keep *) wire signed [BITS-1:0] ab = a + b;
                (* keep *) wire signed [BITS-1:0] cd = c + d;
                always_ff @(posedge clk) if (move) sum_q[s*BITS +: BITS] <= ab + cd;
            end
            assign level[n+1] = (4*COUNT*BITS)'(sum_q);
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (COUNT < 1 || BITS < 1 || LEVELS < 0 || 1 << 2*LEVELS >= 4*COUNT)
        $fatal(1, "%m: LEVELS=%0d must be no more than add COUNT=%0d fields up, BITS=%0d at least 1", LEVELS, COUNT, BITS);
`endif
endmodule
`default_nettype wire
