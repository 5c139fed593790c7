// SPDX-License-Identifier: Apache-2.0
// Depthwise product: PE channels per cycle, TAPS cycles per block of PE channels. II = 1 beat, latency 4.
// Word BLOCK*TAPS+TAP of WEIGHTS holds the weight of channel BLOCK*PE+p at field p.
module depthwise #(
    parameter int  PE          = 1,   // channels in parallel
    parameter int  TAPS        = 9,   // pixels under the kernel
    parameter int  BLOCKS      = 4,   // channels / PE
    parameter int  IN_BITS     = 4,   // bits of an activation
    parameter int  IN_SIGNED   = 0,   // two's complement if 1
    parameter int  WEIGHT_BITS = 4,   // two's complement
    parameter int  OUT_BITS    = 12,  // holds every accumulator, two's complement
    parameter int  IN_LUTS     = 0,   // 1: products are sums of shifted activations, without multipliers; WEIGHT_BITS <= 4
    parameter      WEIGHTS     = "weights.hex",
    localparam int WORDS       = TAPS * BLOCKS,
    localparam int ADDR        = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int TAP         = TAPS > 1 ? $clog2(TAPS) : 1,
    localparam int PRODUCT     = IN_BITS + WEIGHT_BITS + 1
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  logic [PE*IN_BITS-1:0]  in_data,
    output logic                   out_valid,
    input  logic                   out_ready,
    output logic [PE*OUT_BITS-1:0] out_data
);
    logic [PE*WEIGHT_BITS-1:0] memory [0:WORDS-1];
    initial $readmemh(WEIGHTS, memory);

    logic                      move;  // the whole pipeline advances
    logic [ADDR-1:0]           word_q;
    logic [TAP-1:0]            tap_q;
    logic                      first, last;
    logic [2:0]                valid_q, first_q, last_q;  // of the stages: fetch, operands, products
    logic [PE*IN_BITS-1:0]     fetch_q;
    logic [PE*WEIGHT_BITS-1:0] word_out_q;
    logic                      out_valid_q;

    assign move      = out_ready || !out_valid_q;
    assign in_ready  = move;
    assign first     = tap_q == '0;
    assign last      = tap_q == TAP'(TAPS - 1);
    assign out_valid = out_valid_q;

    always_ff @(posedge clk) begin
        if (move) begin
            word_out_q <= memory[word_q];
            fetch_q    <= in_data;
        end
    end

    always_ff @(posedge clk) begin
        if (move) begin
            valid_q     <= {valid_q[1:0], in_valid};
            first_q     <= {first_q[1:0], first};
            last_q      <= {last_q[1:0], last};
            out_valid_q <= valid_q[2] && last_q[2];
            if (in_valid) begin
                tap_q  <= last ? '0 : tap_q + 1'b1;
                word_q <= word_q == ADDR'(WORDS - 1) ? '0 : word_q + 1'b1;
            end
        end
        if (rst) begin
            valid_q     <= '0;
            out_valid_q <= 1'b0;
            tap_q       <= '0;
            word_q      <= '0;
        end
    end

    genvar p;
    generate
        for (p = 0; p < PE; p = p + 1) begin : g_channel
            wire [IN_BITS-1:0]            x      = fetch_q[p*IN_BITS +: IN_BITS];
            wire                          x_sign = (IN_SIGNED != 0) && x[IN_BITS-1];
            wire signed [IN_BITS:0]       factor = {x_sign, x};
            wire signed [WEIGHT_BITS-1:0] weight = word_out_q[p*WEIGHT_BITS +: WEIGHT_BITS];
            wire signed [PRODUCT-1:0]     single;
            logic signed [OUT_BITS-1:0]   total_q;

            if (IN_LUTS != 0) begin : g_luts
                lut_product #(.A_BITS(IN_BITS + 1), .B_BITS(WEIGHT_BITS)) u_product (
                    .clk(clk), .move(move), .a(factor), .b(weight), .product(single)
                );
            end else begin : g_multiplier
                multiplier #(.A_BITS(IN_BITS + 1), .B_BITS(WEIGHT_BITS)) u_product (
                    .clk(clk), .move(move), .a(factor), .b(weight), .product(single)
                );
            end

            always_ff @(posedge clk) begin
                if (move && valid_q[2]) total_q <= (first_q[2] ? '0 : total_q) + OUT_BITS'(single);
            end
            assign out_data[p*OUT_BITS +: OUT_BITS] = total_q;
        end
    endgenerate
endmodule
