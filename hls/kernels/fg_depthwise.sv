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
    wire  [ADDR-1:0]              word;
    wire                          add, first, near_end, in_range;
    wire                          unused_control = &{1'b0, near_end, in_range};
    logic [LANES*IN_BITS-1:0]     fetch_q;
    logic [LANES*WEIGHT_BITS-1:0] word_out_q;

    assign in_ready = move;

    fg_product_control #(.STEPS(STEPS), .WORDS(WORDS), .STAGES(STAGES)) u_control (
        .clk(clk), .rst(rst), .in_valid(in_valid), .out_valid(out_valid), .out_ready(out_ready),
        .move(move), .word(word), .near_end(near_end), .add(add), .first(first), .in_range(in_range)
    );

    always_ff @(posedge clk) begin
        if (move) begin
            word_out_q <= memory[word];
            fetch_q    <= in_data;
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

                fg_product #(.A_BITS(IN_BITS + 1), .B_BITS(WEIGHT_BITS), .IN_LUTS(IN_LUTS)) u_product (
                    .clk(clk), .move(move), .a(factor), .b(weight), .product(single)
                );
                assign products[(p*AT_ONCE + t)*OUT_BITS +: OUT_BITS] = OUT_BITS'(single);
            end
        end

        for (p = 0; p < PE; p = p + 1) begin : g_sum
            wire [OUT_BITS-1:0] sum;

            fg_adder_tree #(.COUNT(AT_ONCE), .BITS(OUT_BITS), .LEVELS(LEVELS)) u_sum (
                .clk(clk), .move(move), .fields(products[p*AT_ONCE*OUT_BITS +: AT_ONCE*OUT_BITS]), .sums(sum)
            );

            fg_accumulator #(.BITS(OUT_BITS)) u_total (
                .clk(clk), .move(move), .add(add), .first(first), .start('0), .term(sum), .total(out_data[p*OUT_BITS +: OUT_BITS])
            );
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (PE < 1 || AT_ONCE < 1 || STEPS < 1 || BLOCKS < 1)
        $fatal(1, "%m: PE=%0d, AT_ONCE=%0d, STEPS=%0d and BLOCKS=%0d must be at least 1", PE, AT_ONCE, STEPS, BLOCKS);
    initial if (WEIGHT_BITS < 2 || (IN_LUTS != 0 && WEIGHT_BITS > 4))
        $fatal(1, "%m: WEIGHT_BITS=%0d must be at least 2, and at most 4 if IN_LUTS=%0d", WEIGHT_BITS, IN_LUTS);
    fg_stream_check #(.BITS(PE*OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(in_range)
    );
`endif
endmodule
`default_nettype wire
