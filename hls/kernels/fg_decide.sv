// SPDX-License-Identifier: Apache-2.0
// Decision: gathers the logits of a clip, finds the largest (lowest class wins a tie) and raises alarms: a class's
// score >= its threshold. II = 1, latency 1. The score of a class is its logit if classes are independent, else its
// logit minus the largest other one.
`default_nettype none
module fg_decide #(
    parameter int  LANES       = 1,   // logits in one beat
    parameter int  IN_BITS     = 16,  // bits of a logit, <= 32 if signed, <= 31 if not
    parameter int  SIGNED      = 1,   // two's complement if 1
    parameter int  CLASSES     = 5,   // <= 127; >= 2 for an alarm of a class that is not independent
    parameter int  POSITIVE    = -1,  // class whose alarm is in the decision, -1 for none
    parameter int  INDEPENDENT = 0,   // 1: each class has a threshold and an alarm of its own
    localparam int SCORE       = 34,  // bits of a threshold: the difference of two logits, or one beyond them all
    localparam int LIMITS      = INDEPENDENT != 0 ? CLASSES : 1,
    parameter logic [SCORE*LIMITS-1:0] THRESHOLDS = '0,  // two's complement each, class 0 lowest
    localparam int BEATS       = CLASSES / LANES,
    localparam int INDEX       = BEATS > 1 ? $clog2(BEATS) : 1,
    localparam int FLAGS       = INDEPENDENT != 0 && CLASSES > 1 ? (CLASSES + 31) / 32 : 0,  // words
    localparam int OUT         = 32 * (CLASSES + FLAGS + 1)
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    input  wire logic                     in_valid,
    output      logic                     in_ready,
    input  wire logic [LANES*IN_BITS-1:0] in_data,
    output      logic                     out_valid,
    input  wire logic                     out_ready,
    output      logic [OUT-1:0]           out_data  // 32 bits per logit, FLAGS words of alarms, {alarm, class[6:0]}
);
    localparam int WIDE = IN_BITS + 1;  // a logit with its sign

    logic [32*CLASSES-1:0]  logits_q;
    logic signed [WIDE-1:0] best_d, best_q;  // largest logit so far
    logic [6:0]             class_d, class_q;
    logic [INDEX-1:0]       beat_q;
    logic                   valid_q, take, last, first_q;
    logic [WIDE*LANES-1:0]  value;  // the incoming logits
    logic [32*LANES-1:0]    beat;   // the same, 32 bits each
    wire                    alarm;

    assign in_ready  = out_ready || !valid_q;
    assign take      = in_valid && in_ready;
    assign last      = beat_q == INDEX'(BEATS - 1);
    assign out_valid = valid_q;
    assign out_data[32*CLASSES-1:0] = logits_q;
    assign out_data[OUT-1 -: 32]    = {24'b0, alarm, class_q};

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [IN_BITS-1:0] bits = in_data[lane*IN_BITS +: IN_BITS];
            wire               sign = (SIGNED != 0) && bits[IN_BITS-1];
            assign value[WIDE*lane +: WIDE] = {sign, bits};
            assign beat[32*lane +: 32]      = 32'($signed({sign, bits}));
        end
    endgenerate

    integer i;
    always_comb begin
        best_d  = best_q;
        class_d = class_q;
        for (i = 0; i < LANES; i = i + 1) begin
            if (($signed(value[WIDE*i +: WIDE]) > best_d) || (first_q && i == 0)) begin
                best_d  = $signed(value[WIDE*i +: WIDE]);
                class_d = 7'(beat_q) * 7'(LANES) + 7'(i);
            end
        end
    end

    always_ff @(posedge clk) begin
        if (take) begin
            logits_q <= (32*CLASSES)'({beat, logits_q} >> 32*LANES);
            best_q   <= best_d;
            class_q  <= class_d;
        end
    end

    always_ff @(posedge clk) begin
        if (in_ready) valid_q <= in_valid && last;
        if (take) begin
            beat_q  <= last ? '0 : beat_q + 1'b1;
            first_q <= last;
        end
        if (rst) begin
            valid_q <= 1'b0;
            beat_q  <= '0;
            first_q <= 1'b1;
        end
    end

    generate
        if (INDEPENDENT != 0) begin : g_independent
            logic [CLASSES-1:0]      raised_q;
            logic [LANES-1:0]        raised;
            logic [SCORE*LANES-1:0]  limits;  // of the classes in this beat

            assign limits = THRESHOLDS[SCORE*LANES*beat_q +: SCORE*LANES];
            assign alarm  = POSITIVE >= 0 && raised_q[POSITIVE < 0 ? 0 : POSITIVE];

            integer k;
            always_comb begin
                for (k = 0; k < LANES; k = k + 1)
                    raised[k] = SCORE'($signed(beat[32*k +: 32])) >= $signed(limits[SCORE*k +: SCORE]);
            end
            always_ff @(posedge clk) if (take) raised_q <= CLASSES'({raised, raised_q} >> LANES);
            if (FLAGS > 0) begin : g_flags
                assign out_data[32*CLASSES +: 32*FLAGS] = (32*FLAGS)'(raised_q);
            end
        end else if (POSITIVE >= 0) begin : g_margin
            logic signed [WIDE-1:0] mine_d, mine_q, rest_d, rest_q;  // the class's logit, the largest other one so far
            logic                   any_d, any_q;                    // there is another one

            assign alarm = SCORE'(mine_q) - SCORE'(rest_q) >= $signed(THRESHOLDS[SCORE-1:0]);

            integer k;
            always_comb begin
                mine_d = mine_q;
                rest_d = rest_q;
                any_d  = any_q && !first_q;
                for (k = 0; k < LANES; k = k + 1) begin
                    if (32'(beat_q) * 32'(LANES) + 32'(k) == 32'(POSITIVE)) mine_d = $signed(value[WIDE*k +: WIDE]);
                    else begin
                        if (!any_d || $signed(value[WIDE*k +: WIDE]) > rest_d) rest_d = $signed(value[WIDE*k +: WIDE]);
                        any_d = 1'b1;
                    end
                end
            end
            always_ff @(posedge clk) begin
                if (take) begin
                    mine_q <= mine_d;
                    rest_q <= rest_d;
                    any_q  <= any_d;
                end
            end
        end else begin : g_none
            assign alarm = 1'b0;
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (LANES < 1 || CLASSES < 1 || CLASSES % LANES != 0 || CLASSES > 127)
        $fatal(1, "%m: LANES=%0d must divide CLASSES=%0d, of which there are 1 to 127", LANES, CLASSES);
    initial if (IN_BITS < 1 || IN_BITS > (SIGNED != 0 ? 32 : 31))
        $fatal(1, "%m: IN_BITS=%0d must be 1 to 31, or 32 if SIGNED=%0d", IN_BITS, SIGNED);
    initial if (POSITIVE >= CLASSES || (POSITIVE >= 0 && INDEPENDENT == 0 && CLASSES < 2))
        $fatal(1, "%m: POSITIVE=%0d must be one of CLASSES=%0d, of two or more unless they are INDEPENDENT=%0d",
               POSITIVE, CLASSES, INDEPENDENT);
    fg_stream_check #(.BITS(OUT)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(beat_q) < BEATS)
    );
`endif
endmodule
`default_nettype wire
