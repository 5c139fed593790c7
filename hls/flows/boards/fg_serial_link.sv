// SPDX-License-Identifier: Apache-2.0
// Serial line to streams: bytes R, G, B of each pixel in; each result's decision byte goes to `led` and back.
// A break on the line restarts pixels and design. 8'hFF for a decision: a beat came before the last was taken.
`default_nettype none
module fg_serial_link #(
    parameter int  CLOCK_KHZ   = 50000,
    parameter int  BAUD_KHZ    = 3000,
    parameter int  PIXEL_BITS  = 24,   // of a beat: 8 (a channel) or 24 (a pixel, R in the low byte)
    parameter int  RESULT_BITS = 40,   // 32 bits per class, then the decision byte, then padding up to 24 bits
    localparam int DECISION    = (RESULT_BITS - 8) / 32 * 32
) (
    input  wire logic                   clk,
    input  wire logic                   rst,
    input  wire logic                   rxd,
    output      logic                   txd,
    output      logic [7:0]             led,           // the last decision: {alarm, class}
    output      logic                   design_rst,
    output      logic                   pixel_valid,
    input  wire logic                   pixel_ready,
    output      logic [PIXEL_BITS-1:0]  pixel_data,
    input  wire logic                   result_valid,
    output      logic                   result_ready,
    input  wire logic [RESULT_BITS-1:0] result_data
);
    localparam logic [7:0] LOST = 8'hFF;

    logic                  byte_valid, broken, last_byte, answer_ready;
    logic [7:0]            byte_data, answer_q;
    logic [1:0]            byte_q;   // of the beat
    logic [15:0]           early_q;  // the two bytes before
    logic [PIXEL_BITS-1:0] pixel_q;
    logic                  valid_q, answer_valid_q, lost_q;
    wire  [23:0]           latest = {byte_data, early_q};
    wire                   unused = &{1'b0, result_data};  // the logits

    fg_uart_rx #(.CLOCK_KHZ(CLOCK_KHZ), .BAUD_KHZ(BAUD_KHZ)) u_rx (
        .clk(clk), .rst(rst), .rxd(rxd), .out_valid(byte_valid), .out_data(byte_data), .broken(broken)
    );
    fg_uart_tx #(.CLOCK_KHZ(CLOCK_KHZ), .BAUD_KHZ(BAUD_KHZ)) u_tx (
        .clk(clk), .rst(rst), .in_valid(answer_valid_q), .in_ready(answer_ready), .in_data(answer_q), .txd(txd)
    );

    assign last_byte    = byte_q == 2'(PIXEL_BITS / 8 - 1);
    assign pixel_valid  = valid_q;
    assign pixel_data   = pixel_q;
    assign result_ready = answer_ready || !answer_valid_q;
    assign led          = answer_q;

    always_ff @(posedge clk) design_rst <= rst || broken;  // a register: it goes to all of the design

    always_ff @(posedge clk) begin
        if (byte_valid) begin
            early_q <= latest[23:8];
            byte_q  <= last_byte ? 2'd0 : byte_q + 2'd1;
        end
        if (pixel_ready) valid_q <= 1'b0;
        if (byte_valid && last_byte) begin
            pixel_q <= latest[23 -: PIXEL_BITS];
            valid_q <= 1'b1;
            lost_q  <= lost_q || (valid_q && !pixel_ready);
        end
        if (design_rst) begin
            byte_q  <= 2'd0;
            valid_q <= 1'b0;
            lost_q  <= 1'b0;
        end
    end

    always_ff @(posedge clk) begin
        if (answer_ready) answer_valid_q <= 1'b0;
        if (result_valid && result_ready) begin
            answer_q       <= lost_q ? LOST : result_data[DECISION +: 8];
            answer_valid_q <= 1'b1;
        end
        if (rst) begin
            answer_q       <= 8'd0;
            answer_valid_q <= 1'b0;
        end
    end

`ifndef SYNTHESIS
    initial if ((PIXEL_BITS != 8 && PIXEL_BITS != 24) || RESULT_BITS < 40)
        $fatal(1, "%m: PIXEL_BITS=%0d must be 8 or 24, RESULT_BITS=%0d at least 40", PIXEL_BITS, RESULT_BITS);
`endif
endmodule
`default_nettype wire
