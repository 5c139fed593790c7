// SPDX-License-Identifier: Apache-2.0
// Decision: gathers the logits of a clip, finds the largest (lowest class wins a tie). II = 1, latency 1.
module decide #(
    parameter int  LANES    = 1,   // logits in one beat
    parameter int  IN_BITS  = 16,  // bits of a logit, <= 32
    parameter int  SIGNED   = 1,   // two's complement if 1
    parameter int  CLASSES  = 5,   // <= 127
    parameter int  POSITIVE = -1,  // class that raises the alarm, -1 for none
    localparam int BEATS    = CLASSES / LANES,
    localparam int INDEX    = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int OUT      = 32 * (CLASSES + 1)
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     in_valid,
    output logic                     in_ready,
    input  logic [LANES*IN_BITS-1:0] in_data,
    output logic                     out_valid,
    input  logic                     out_ready,
    output logic [OUT-1:0]           out_data  // a 32-bit logit per class, then {alarm, class[6:0]}
);
    logic [32*CLASSES-1:0] logits_q;
    logic signed [32:0]    best_d, best_q;  // largest logit so far
    logic [6:0]            class_d, class_q;
    logic [INDEX-1:0]      beat_q;
    logic                  valid_q, take, last;
    logic [32*LANES-1:0]   beat;  // the incoming logits, 32 bits each

    assign in_ready  = out_ready || !valid_q;
    assign take      = in_valid && in_ready;
    assign last      = beat_q == INDEX'(BEATS - 1);
    assign out_valid = valid_q;
    assign out_data  = {24'b0, class_q == 7'(POSITIVE) && POSITIVE >= 0, class_q, logits_q};

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [IN_BITS-1:0] value = in_data[lane*IN_BITS +: IN_BITS];
            wire               sign  = (SIGNED != 0) && value[IN_BITS-1];
            wire signed [32:0] wide  = $signed({sign, value});
            assign beat[32*lane +: 32] = wide[31:0];
        end
    endgenerate

    integer i;
    always_comb begin
        best_d  = best_q;
        class_d = class_q;
        for (i = 0; i < LANES; i = i + 1) begin
            if ((beat_q == '0 && i == 0) || $signed(beat[32*i +: 32]) > best_d) begin
                best_d  = 33'($signed(beat[32*i +: 32]));
                class_d = 7'(beat_q) * 7'(LANES) + 7'(i);
            end
        end
    end

    always_ff @(posedge clk) begin
        if (take) begin
            if (LANES == CLASSES) logits_q <= beat;
            else logits_q <= {beat, logits_q[32*CLASSES-1 : 32*(LANES % CLASSES)]};
            best_q  <= best_d;
            class_q <= class_d;
        end
    end

    always_ff @(posedge clk) begin
        if (in_ready) valid_q <= in_valid && last;
        if (take) beat_q <= last ? '0 : beat_q + 1'b1;
        if (rst) begin
            valid_q <= 1'b0;
            beat_q  <= '0;
        end
    end
endmodule
