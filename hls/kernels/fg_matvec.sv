// SPDX-License-Identifier: Apache-2.0
// Matrix-vector product: PE rows x SIMD columns per cycle, STEPS cycles per fold of PE rows. II = 1 beat, latency
// 6 + BANKED + APART + LEVELS: fetch, where weights are banked one more, operands, factors, products, perhaps again, LEVELS
// of additions of four among which products that were made together are split, accumulator.
// Word FOLD*STEPS+STEP of WEIGHTS holds the weight of lane (p, s) at field p*SIMD+s, as a digit: less one where the rows
// that share its multiplier below it are negative together. Word FOLD of BIAS holds what lane p starts from at field p.
`default_nettype none
module fg_matvec #(
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
    parameter int  FACTOR      = 18,  // bits of a multiplier's wider factor
    parameter int  CASCADE     = 1,   // multipliers that add their products themselves
    parameter int  BANK        = 64,  // words of a bank of weights, see fg_rom.sv
    parameter int  BLOCK       = 0,   // 1: weights in block RAM, 0: in LUTs
    parameter int  ULTRA       = 0,   // 1: weights in UltraRAM, loaded before the first activation
    parameter      WEIGHTS     = "weights",
    parameter      BIAS        = "bias.hex",
    localparam int WORDS       = STEPS * FOLDS,
    localparam int ADDR        = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int FOLD        = FOLDS > 1 ? $clog2(FOLDS) : 1,
    localparam int ADDED       = IN_LUTS == 0 && CASCADE < SIMD ? CASCADE : 1,
    localparam int TERMS       = (SIMD + ADDED - 1) / ADDED,  // of the adder tree
    localparam int LEVELS      = ($clog2(TERMS) + 1) / 2,
    localparam int PRODUCT     = IN_BITS + WEIGHT_BITS,       // bits of a product
    localparam int TERM        = PRODUCT + $clog2(ADDED),
    // Rows share a multiplier where their products fit side by side: (… + second * 2^FIELD + first) * x. Their sums stay
    // together as long as FIELD has room for them.
    localparam int SHARED      = 1 + (IN_LUTS != 0 || IN_BITS > 17 ? 0 : (FACTOR - 1 - WEIGHT_BITS) / TERM),
    localparam int ROWS        = SHARED < PE ? SHARED : PE,
    localparam int GROUPS      = (PE + ROWS - 1) / ROWS,
    localparam int WIDEST      = ROWS > 1 ? (FACTOR - 1 - WEIGHT_BITS) / (ROWS - 1) : 64,
    localparam int WANTED      = PRODUCT + $clog2(SIMD),
    localparam int FIELD       = WANTED < WIDEST ? WANTED : WIDEST,
    localparam int TOGETHER    = WANTED <= WIDEST ? LEVELS : (WIDEST - TERM) / 2,     // levels before the split
    // An ECP5 has its multipliers in a few rows, far from the adders: a register lies on the way to the first of those.
    localparam int APART       = IN_LUTS == 0 && CASCADE == 1 && TOGETHER > 0 ? 1 : 0,
    localparam int BANKED      = BANK < WORDS ? 1 : 0,
    localparam int STAGES      = 5 + BANKED + APART + LEVELS  // before the accumulator
) (
    input  wire logic                    clk,
    input  wire logic                    rst,
    input  wire logic                    in_valid,
    output      logic                    in_ready,
    input  wire logic [SIMD*IN_BITS-1:0] in_data,
    output      logic                    out_valid,
    input  wire logic                    out_ready,
    output      logic [PE*OUT_BITS-1:0]  out_data,
    input  wire logic                    load_rst,  // see fg_rom.sv
    input  wire logic                    load,
    input  wire logic [31:0]             load_data
);
    logic                           move;  // the whole pipeline advances
    wire  [ADDR-1:0]                address;
    wire                            add, first, near_end, in_range;
    wire                            unused_control = &{1'b0, near_end, in_range};
    logic [SIMD*IN_BITS-1:0]        fetch_q, bank_q, input_q;
    logic [PE*SIMD*WEIGHT_BITS-1:0] word, weight_q;  // a block RAM is slow: its output has a register

    assign in_ready = move;

    fg_product_control #(.STEPS(STEPS), .WORDS(WORDS), .STAGES(STAGES)) u_control (
        .clk(clk), .rst(rst), .in_valid(in_valid), .out_valid(out_valid), .out_ready(out_ready),
        .move(move), .word(address), .near_end(near_end), .add(add), .first(first), .in_range(in_range)
    );

    always_ff @(posedge clk) begin
        if (move) begin
            fetch_q  <= in_data;
            bank_q   <= fetch_q;
            input_q  <= BANKED != 0 ? bank_q : fetch_q;
            weight_q <= word;
        end
    end

    fg_rom #(
        .WORDS(WORDS), .BITS(PE*SIMD*WEIGHT_BITS), .ADDR(ADDR), .BANK(BANK), .BLOCK(BLOCK), .ULTRA(ULTRA), .IMAGE(WEIGHTS)
    ) u_weights (
        .clk(clk), .move(move), .address(address), .word(word), .load_rst(load_rst), .load(load), .load_data(load_data)
    );

    logic [PE*OUT_BITS-1:0] bias_q;  // of the fold whose sums go to the accumulator next

    generate
        if (BIASED != 0) begin : g_bias
            logic [PE*OUT_BITS-1:0] biases [0:FOLDS-1];
            logic [FOLD-1:0]        fold_q;
            initial $readmemh(BIAS, biases);

            always_ff @(posedge clk) begin
                if (move) bias_q <= biases[fold_q];
                if (move && near_end) fold_q <= fold_q == FOLD'(FOLDS - 1) ? '0 : fold_q + 1'b1;
                if (rst) fold_q <= '0;
            end
        end else begin : g_no_bias
            assign bias_q = '0;
        end
    endgenerate

    wire [SIMD*(IN_BITS+1)-1:0] factors;  // activations with a sign

    genvar g, p, s;
    generate
        for (s = 0; s < SIMD; s = s + 1) begin : g_factor
            wire [IN_BITS-1:0] x = input_q[s*IN_BITS +: IN_BITS];
            assign factors[s*(IN_BITS+1) +: IN_BITS+1] = {(IN_SIGNED != 0) && x[IN_BITS-1], x};
        end

        for (g = 0; g < GROUPS; g = g + 1) begin : g_group
            localparam int FIRST   = g*ROWS;
            localparam int HELD    = PE - FIRST < ROWS ? PE - FIRST : ROWS;  // rows
            localparam int JOINT   = HELD > 1 ? (HELD - 1)*FIELD + WEIGHT_BITS + 1 : WEIGHT_BITS;
            localparam int WORD    = HELD*FIELD;
            wire [SIMD*JOINT-1:0]    joints;  // per column the weights of so many rows
            wire [TERMS*WORD-1:0]    terms, added;
            wire [HELD*OUT_BITS-1:0] sums;

            for (s = 0; s < SIMD; s = s + 1) begin : g_column
                wire [HELD*WEIGHT_BITS-1:0] digits;

                for (p = 0; p < HELD; p = p + 1) begin : g_row
                    assign digits[p*WEIGHT_BITS +: WEIGHT_BITS] = weight_q[((FIRST + p)*SIMD + s)*WEIGHT_BITS +: WEIGHT_BITS];
                end
                fg_joint_factor #(.WEIGHT_BITS(WEIGHT_BITS), .HELD(HELD), .FIELD(FIELD)) u_factor (
                    .digits(digits), .factor(joints[s*JOINT +: JOINT])
                );
            end

            for (s = 0; s < TERMS; s = s + 1) begin : g_term
                localparam int LANE  = s*ADDED;
                localparam int COUNT = SIMD - LANE < ADDED ? SIMD - LANE : ADDED;
                wire signed [JOINT+IN_BITS+COUNT-1:0] product;
                wire unused = &{1'b0, product};  // its top bits may repeat the sign

                fg_product #(.A_BITS(IN_BITS + 1), .B_BITS(JOINT), .COUNT(COUNT), .IN_LUTS(IN_LUTS)) u_product (
                    .clk(clk), .move(move), .product(product),
                    .a(factors[LANE*(IN_BITS+1) +: COUNT*(IN_BITS+1)]), .b(joints[LANE*JOINT +: COUNT*JOINT])
                );
                assign terms[s*WORD +: WORD] = WORD'(product);
            end

            if (APART != 0) begin : g_apart
                logic [TERMS*WORD-1:0] terms_q;
                always_ff @(posedge clk) if (move) terms_q <= terms;
                assign added = terms_q;
            end else begin : g_near
                assign added = terms;
            end

            fg_joint_sum #(
                .TERMS(TERMS), .HELD(HELD), .FIELD(FIELD), .OUT_BITS(OUT_BITS), .LEVELS(LEVELS), .TOGETHER(TOGETHER)
            ) u_sums (.clk(clk), .move(move), .terms(added), .sums(sums));

            for (p = 0; p < HELD; p = p + 1) begin : g_row
                fg_accumulator #(.BITS(OUT_BITS)) u_total (
                    .clk(clk), .move(move), .add(add), .first(first), .start(bias_q[(FIRST + p)*OUT_BITS +: OUT_BITS]),
                    .term(sums[p*OUT_BITS +: OUT_BITS]), .total(out_data[(FIRST + p)*OUT_BITS +: OUT_BITS])
                );
            end
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (PE < 1 || SIMD < 1 || STEPS < 1 || FOLDS < 1 || CASCADE < 1)
        $fatal(1, "%m: PE=%0d, SIMD=%0d, STEPS=%0d, FOLDS=%0d and CASCADE=%0d must be at least 1",
               PE, SIMD, STEPS, FOLDS, CASCADE);
    initial if (WEIGHT_BITS < 2 || (IN_LUTS != 0 && WEIGHT_BITS > 4))
        $fatal(1, "%m: WEIGHT_BITS=%0d must be at least 2, and at most 4 if IN_LUTS=%0d", WEIGHT_BITS, IN_LUTS);
    fg_stream_check #(.BITS(PE*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(in_range)
    );
`endif
endmodule
`default_nettype wire
