// SPDX-License-Identifier: Apache-2.0
// What moves a pipeline that multiplies and accumulates: of each STEPS beats it makes one. It counts beats and words of
// weights, and tells the accumulator behind STAGES registers which sums to add. II = 1, latency STAGES + 1.
`default_nettype none
module fg_product_control #(
    parameter int  STEPS  = 9,   // beats that are added up
    parameter int  WORDS  = 36,  // of weights, one for each beat until they repeat
    parameter int  STAGES = 3,   // before the accumulator, >= 2
    localparam int ADDR   = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int STEP   = STEPS > 1 ? $clog2(STEPS) : 1
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            in_valid,
    output      logic            out_valid,
    input  wire logic            out_ready,
    output      logic            move,      // the whole pipeline advances
    output      logic [ADDR-1:0] word,      // of weights, for the beat that comes in
    output      logic            near_end,  // in the stage before the accumulator's are the last products of a sum
    output      logic            add,       // the accumulator's stage has products
    output      logic            first,     // the first ones of a sum
    output      logic            in_range   // all that is counted
);
    logic [ADDR-1:0]   word_q;
    logic [STEP-1:0]   step_q;
    logic              begins, ends;
    logic [STAGES-1:0] valid_q, first_q, last_q;
    logic              out_valid_q;

    assign move      = out_ready || !out_valid_q;
    assign begins    = step_q == '0;
    assign ends      = step_q == STEP'(STEPS - 1);
    assign out_valid = out_valid_q;
    assign word      = word_q;
    assign near_end  = valid_q[STAGES-2] && last_q[STAGES-2];
    assign add       = valid_q[STAGES-1];
    assign first     = first_q[STAGES-1];
    assign in_range  = int'(step_q) < STEPS && int'(word_q) < WORDS;

    always_ff @(posedge clk) begin
        if (move) begin
            valid_q     <= {valid_q[STAGES-2:0], in_valid};
            first_q     <= {first_q[STAGES-2:0], begins};
            last_q      <= {last_q[STAGES-2:0], ends};
            out_valid_q <= valid_q[STAGES-1] && last_q[STAGES-1];
            if (in_valid) begin
                step_q <= ends ? '0 : step_q + 1'b1;
                word_q <= word_q == ADDR'(WORDS - 1) ? '0 : word_q + 1'b1;
            end
        end
        if (rst) begin
            valid_q     <= '0;
            out_valid_q <= 1'b0;
            step_q      <= '0;
            word_q      <= '0;
        end
    end

`ifndef SYNTHESIS
    initial if (STEPS < 1 || WORDS < 1 || STAGES < 2)
        $fatal(1, "%m: STEPS=%0d and WORDS=%0d must be at least 1, STAGES=%0d at least 2", STEPS, WORDS, STAGES);
`endif
endmodule
`default_nettype wire
