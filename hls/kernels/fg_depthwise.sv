// SPDX-License-Identifier: Apache-2.0
// Depthwise product: AT_ONCE taps of PE channels per cycle, STEPS cycles per block of PE channels. II = 1 beat, latency
// 4 + LEVELS: fetch, operands, products, LEVELS of additions of four, accumulator.
// Word BLOCK*STEPS+STEP of WEIGHTS holds the weight of tap STEP*AT_ONCE+t of channel BLOCK*PE+p at field t*PE+p.
`default_nettype none
module fg_depthwise #(
    parameter int  PE          = 1,   // channels in parallel
    parameter int  AT_ONCE     = 1,   // taps in parallel
    parameter int  STEPS       = 9,   // taps / AT_ONCE
    parameter int  BLOCKS      = 4,   // channels / PE
    parameter int  IN_BITS     = 4,   // bits of an activation
    parameter int  IN_SIGNED   = 0,   // two's complement if 1
    parameter int  WEIGHT_BITS = 4,   // two's complement
    parameter int  OUT_BITS    = 12,  // holds every accumulator, two's complement
    parameter int  IN_LUTS     = 0,   // 1: products are sums of shifted activations, without multipliers; WEIGHT_BITS <= 4
    parameter      WEIGHTS     = "weights.hex",
    localparam int LANES       = AT_ONCE * PE,
    localparam int WORDS       = STEPS * BLOCKS,
    localparam int ADDR        = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int STEP        = STEPS > 1 ? $clog2(STEPS) : 1,
    localparam int PRODUCT     = IN_BITS + WEIGHT_BITS + 1,
    localparam int LEVELS      = ($clog2(AT_ONCE) + 1) / 2,
    localparam int STAGES      = 3 + LEVELS  // before the accumulator
) (
    input  wire logic                     clk,
    input  wire logic                     rst,
    input  wire logic                     in_valid,
    output      logic                     in_ready,
    input  wire logic [LANES*IN_BITS-1:0] in_data,
    output      logic                     out_valid,
    input  wire logic                     out_ready,
    output      logic [PE*OUT_BITS-1:0]   out_data
);
    logic [LANES*WEIGHT_BITS-1:0] memory [0:WORDS-1];
    initial $readmemh(WEIGHTS, memory);

    logic                         move;  // the whole pipeline advances
    logic [ADDR-1:0]              word_q;
    logic [STEP-1:0]              step_q;
    logic                         first, last;
    logic [STAGES-1:0]            valid_q, first_q, last_q;
    logic [LANES*IN_BITS-1:0]     fetch_q;
    logic [LANES*WEIGHT_BITS-1:0] word_out_q;
    logic                         out_valid_q;

    assign move      = out_ready || !out_valid_q;
    assign in_ready  = move;
    assign first     = step_q == '0;
    assign last      = step_q == STEP'(STEPS - 1);
    assign out_valid = out_valid_q;

    always_ff @(posedge clk) begin
        if (move) begin
            word_out_q <= memory[word_q];
            fetch_q    <= in_data;
        end
    end

    always_ff @(posedge clk) begin
        if (move) begin
            valid_q     <= {valid_q[STAGES-2:0], in_valid};
            first_q     <= {first_q[STAGES-2:0], first};
            last_q      <= {last_q[STAGES-2:0], last};
            out_valid_q <= valid_q[STAGES-1] && last_q[STAGES-1];
            if (in_valid) begin
                step_q <= last ? '0 : step_q + 1'b1;
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

    wire [LANES*OUT_BITS-1:0] products;  // of lane (t, p) at field p*AT_ONCE+t

    genvar p, t;
    generate
        for (t = 0; t < AT_ONCE; t = t + 1) begin : g_tap
            for (p = 0; p < PE; p = p + 1) begin : g_channel
                wire [IN_BITS-1:0]            x      = fetch_q[(t*PE + p)*IN_BITS +: IN_BITS];
                wire                          x_sign = (IN_SIGNED != 0) && x[IN_BITS-1];
                wire signed [IN_BITS:0]       factor = {x_sign, x};
                wire signed [WEIGHT_BITS-1:0] weight = word_out_q[(t*PE + p)*WEIGHT_BITS +: WEIGHT_BITS];
                wire signed [PRODUCT-1:0]     single;
                wire                          unused = &{1'b0, single};  // its top bits may repeat the sign

                if (IN_LUTS != 0) begin : g_luts
                    fg_lut_product #(.A_BITS(IN_BITS + 1), .B_BITS(WEIGHT_BITS)) u_product (
                        .clk(clk), .move(move), .a(factor), .b(weight), .product(single)
                    );
                end else begin : g_multiplier
                    fg_multiplier #(.A_BITS(IN_BITS + 1), .B_BITS(WEIGHT_BITS)) u_product (
                        .clk(clk), .move(move), .a(factor), .b(weight), .product(single)
                    );
                end
                assign products[(p*AT_ONCE + t)*OUT_BITS +: OUT_BITS] = OUT_BITS'(single);
            end
        end

        for (p = 0; p < PE; p = p + 1) begin : g_sum
            wire [OUT_BITS-1:0]         sum;
            logic signed [OUT_BITS-1:0] total_q;

            fg_adder_tree #(.COUNT(AT_ONCE), .BITS(OUT_BITS), .LEVELS(LEVELS)) u_sum (
                .clk(clk), .move(move), .fields(products[p*AT_ONCE*OUT_BITS +: AT_ONCE*OUT_BITS]), .sums(sum)
            );

            always_ff @(posedge clk) begin
                if (move && valid_q[STAGES-1])
                    total_q <= (first_q[STAGES-1] ? '0 : total_q) + $signed(sum);
            end
            assign out_data[p*OUT_BITS +: OUT_BITS] = total_q;
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (PE < 1 || AT_ONCE < 1 || STEPS < 1 || BLOCKS < 1)
        $fatal(1, "%m: PE=%0d, AT_ONCE=%0d, STEPS=%0d and BLOCKS=%0d must be at least 1", PE, AT_ONCE, STEPS, BLOCKS);
    initial if (WEIGHT_BITS < 2 || (IN_LUTS != 0 && WEIGHT_BITS > 4))
        $fatal(1, "%m: WEIGHT_BITS=%0d must be at least 2, and at most 4 if IN_LUTS=%0d", WEIGHT_BITS, IN_LUTS);
    fg_stream_check #(.BITS(PE*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(step_q) < STEPS && int'(word_q) < WORDS)
    );
`endif
endmodule
`default_nettype wire
