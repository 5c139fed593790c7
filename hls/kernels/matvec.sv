// SPDX-License-Identifier: Apache-2.0
// Matrix-vector product: PE rows x SIMD columns per cycle, STEPS cycles per fold of PE rows. II = 1 beat, latency
// 6 + BANKED + LEVELS: fetch, where weights are banked one more, operands, factors, products, split, LEVELS of additions
// of four, accumulator.
// Word FOLD*STEPS+STEP of WEIGHTS holds the weight of lane (p, s) at field p*SIMD+s; word FOLD of BIAS, what
// lane p starts from at field p.
module matvec #(
    parameter int  PE          = 1,   // rows in parallel
    parameter int  SIMD        = 1,   // columns in parallel
    parameter int  STEPS       = 9,   // columns / SIMD
    parameter int  FOLDS       = 4,   // rows / PE; the input sends each pixel this many times
    parameter int  IN_BITS     = 4,   // bits of an activation
    parameter int  IN_SIGNED   = 0,   // two's complement if 1
    parameter int  WEIGHT_BITS = 4,   // two's complement
    parameter int  OUT_BITS    = 16,  // holds every accumulator, two's complement
    parameter int  BIASED      = 0,   // 1: sums start from BIAS, not from 0
    parameter int  IN_LUTS     = 0,   // 1: products are sums of shifted activations, without multipliers; WEIGHT_BITS <= 4
    parameter int  BANK        = 64,  // words of a bank of weights, see rom.sv
    parameter int  BLOCK       = 0,   // 1: weights in block RAM, 0: in LUTs
    parameter      WEIGHTS     = "weights",
    parameter      BIAS        = "bias.hex",
    localparam int WORDS       = STEPS * FOLDS,
    localparam int ADDR        = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int FOLD        = FOLDS > 1 ? $clog2(FOLDS) : 1,
    localparam int STEP        = STEPS > 1 ? $clog2(STEPS) : 1,
    localparam int PRODUCT     = IN_BITS + WEIGHT_BITS + 1,
    // Two rows share a multiplier of 18 x 18 where both products fit: (upper * 2^PRODUCT + lower) * x.
    localparam int PAIRS       = IN_LUTS == 0 && IN_BITS + 2*WEIGHT_BITS <= 16 ? PE / 2 : 0,
    localparam int JOINT       = PRODUCT + WEIGHT_BITS + 1,  // bits of both weights in one
    localparam int LEVELS      = ($clog2(SIMD) + 1) / 2,
    localparam int BANKED      = BANK < WORDS ? 1 : 0,
    localparam int STAGES      = 5 + BANKED + LEVELS  // before the accumulator
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    in_valid,
    output logic                    in_ready,
    input  logic [SIMD*IN_BITS-1:0] in_data,
    output logic                    out_valid,
    input  logic                    out_ready,
    output logic [PE*OUT_BITS-1:0]  out_data
);
    logic                           move;  // the whole pipeline advances
    logic [ADDR-1:0]                word_q;
    logic [STEP-1:0]                step_q;
    logic                           first, last;
    logic [STAGES-1:0]              valid_q, first_q, last_q;
    logic [SIMD*IN_BITS-1:0]        fetch_q, bank_q, input_q;
    logic [PE*SIMD*WEIGHT_BITS-1:0] word, weight_q;  // a block RAM is slow: its output has a register
    logic                           out_valid_q;

    assign move      = out_ready || !out_valid_q;
    assign in_ready  = move;
    assign first     = step_q == '0;
    assign last      = step_q == STEP'(STEPS - 1);
    assign out_valid = out_valid_q;

    always_ff @(posedge clk) begin
        if (move) begin
            fetch_q  <= in_data;
            bank_q   <= fetch_q;
            input_q  <= BANKED != 0 ? bank_q : fetch_q;
            weight_q <= word;
        end
    end

    rom #(.WORDS(WORDS), .BITS(PE*SIMD*WEIGHT_BITS), .ADDR(ADDR), .BANK(BANK), .BLOCK(BLOCK), .IMAGE(WEIGHTS)) u_weights (
        .clk(clk), .move(move), .address(word_q), .word(word)
    );

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

    logic [PE*OUT_BITS-1:0] bias_q;  // of the fold whose sums go to the accumulator next

    generate
        if (BIASED != 0) begin : g_bias
            logic [PE*OUT_BITS-1:0] biases [0:FOLDS-1];
            logic [FOLD-1:0]        fold_q;
            initial $readmemh(BIAS, biases);

            always_ff @(posedge clk) begin
                if (move) bias_q <= biases[fold_q];
                if (move && valid_q[STAGES-2] && last_q[STAGES-2]) fold_q <= fold_q == FOLD'(FOLDS - 1) ? '0 : fold_q + 1'b1;
                if (rst) fold_q <= '0;
            end
        end else begin : g_no_bias
            assign bias_q = '0;
        end
    endgenerate

    logic [PE*SIMD*OUT_BITS-1:0] split_q;  // the product of lane (p, s) at field p*SIMD+s

    genvar p, s, n;
    generate
        for (s = 0; s < SIMD; s = s + 1) begin : g_column
            wire [IN_BITS-1:0]      x      = input_q[s*IN_BITS +: IN_BITS];
            wire                    x_sign = (IN_SIGNED != 0) && x[IN_BITS-1];
            wire signed [IN_BITS:0] factor = {x_sign, x};

            for (p = 0; p < PAIRS; p = p + 1) begin : g_pair
                wire signed [WEIGHT_BITS-1:0] lower = weight_q[(2*p*SIMD + s)*WEIGHT_BITS +: WEIGHT_BITS];
                wire signed [WEIGHT_BITS-1:0] upper = weight_q[((2*p + 1)*SIMD + s)*WEIGHT_BITS +: WEIGHT_BITS];
                wire signed [JOINT-1:0]       joint = (JOINT'(upper) <<< PRODUCT) + JOINT'(lower);
                wire signed [JOINT+IN_BITS:0] both;
                wire signed [PRODUCT-1:0]     below = both[PRODUCT-1:0];
                // A lower product below zero has borrowed one from the upper.
                wire signed [PRODUCT-1:0]     above = both[PRODUCT +: PRODUCT] + PRODUCT'(both[PRODUCT-1]);

                multiplier #(.A_BITS(IN_BITS + 1), .B_BITS(JOINT)) u_product (
                    .clk(clk), .move(move), .a(factor), .b(joint), .product(both)
                );

                always_ff @(posedge clk) begin
                    if (move) begin
                        split_q[(2*p*SIMD + s)*OUT_BITS +: OUT_BITS]       <= OUT_BITS'(below);
                        split_q[((2*p + 1)*SIMD + s)*OUT_BITS +: OUT_BITS] <= OUT_BITS'(above);
                    end
                end
            end

            for (p = 2*PAIRS; p < PE; p = p + 1) begin : g_single
                wire signed [WEIGHT_BITS-1:0] weight = weight_q[(p*SIMD + s)*WEIGHT_BITS +: WEIGHT_BITS];
                wire signed [PRODUCT-1:0]     single;

                if (IN_LUTS != 0) begin : g_luts
                    lut_product #(.A_BITS(IN_BITS + 1), .B_BITS(WEIGHT_BITS)) u_product (
                        .clk(clk), .move(move), .a(factor), .b(weight), .product(single)
                    );
                end else begin : g_multiplier
                    multiplier #(.A_BITS(IN_BITS + 1), .B_BITS(WEIGHT_BITS)) u_product (
                        .clk(clk), .move(move), .a(factor), .b(weight), .product(single)
                    );
                end

                always_ff @(posedge clk) if (move) split_q[(p*SIMD + s)*OUT_BITS +: OUT_BITS] <= OUT_BITS'(single);
            end
        end

        for (p = 0; p < PE; p = p + 1) begin : g_row
            // Level n adds four fields of the level before into one: ceil(SIMD / 4**n) of them count, the rest is zero.
            logic [4*SIMD*OUT_BITS-1:0] sums [0:LEVELS];
            logic signed [OUT_BITS-1:0] total_q;
            wire signed [OUT_BITS-1:0]  start = bias_q[p*OUT_BITS +: OUT_BITS];

            assign sums[0] = (4*SIMD*OUT_BITS)'(split_q[p*SIMD*OUT_BITS +: SIMD*OUT_BITS]);

            for (n = 0; n < LEVELS; n = n + 1) begin : g_level
                localparam int FIELDS = (SIMD + (4 << 2*n) - 1) >> (2*n + 2);
                logic [FIELDS*OUT_BITS-1:0] sum_q;

                for (s = 0; s < FIELDS; s = s + 1) begin : g_four
                    wire signed [OUT_BITS-1:0] a = sums[n][(4*s)*OUT_BITS +: OUT_BITS];
                    wire signed [OUT_BITS-1:0] b = sums[n][(4*s + 1)*OUT_BITS +: OUT_BITS];
                    wire signed [OUT_BITS-1:0] c = sums[n][(4*s + 2)*OUT_BITS +: OUT_BITS];
                    wire signed [OUT_BITS-1:0] d = sums[n][(4*s + 3)*OUT_BITS +: OUT_BITS];
                    always_ff @(posedge clk) if (move) sum_q[s*OUT_BITS +: OUT_BITS] <= (a + b) + (c + d);
                end
                assign sums[n+1] = (4*SIMD*OUT_BITS)'(sum_q);
            end

            always_ff @(posedge clk) begin
                if (move && valid_q[STAGES-1])
                    total_q <= (first_q[STAGES-1] ? start : total_q) + $signed(sums[LEVELS][OUT_BITS-1:0]);
            end
            assign out_data[p*OUT_BITS +: OUT_BITS] = total_q;
        end
    endgenerate
endmodule
