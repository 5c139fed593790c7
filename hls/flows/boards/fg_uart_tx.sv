// SPDX-License-Identifier: Apache-2.0
// UART transmitter, 8N1. A byte that is offered while another one is sent waits.
`default_nettype none
module fg_uart_tx #(
    parameter int  CLOCK_KHZ = 50000,
    parameter int  BAUD_KHZ  = 3000,
    localparam int PHASE     = $clog2(CLOCK_KHZ + BAUD_KHZ)
) (
    input  wire logic       clk,
    input  wire logic       rst,
    input  wire logic       in_valid,
    output      logic       in_ready,
    input  wire logic [7:0] in_data,
    output      logic       txd        // idle high
);
    logic [PHASE-1:0] phase_q;
    logic [9:0]       shift_q;  // start bit lowest, ones behind the stop bit
    logic [3:0]       left_q;   // bits still to send
    logic             tick;

    assign tick     = phase_q >= PHASE'(CLOCK_KHZ);
    assign in_ready = left_q == 4'd0;
    assign txd      = shift_q[0];

    always_ff @(posedge clk) begin
        phase_q <= tick ? phase_q - PHASE'(CLOCK_KHZ) + PHASE'(BAUD_KHZ) : phase_q + PHASE'(BAUD_KHZ);
        if (in_ready && in_valid) begin
            shift_q <= {1'b1, in_data, 1'b0};
            left_q  <= 4'd10;
            phase_q <= PHASE'(BAUD_KHZ);
        end else if (!in_ready && tick) begin
            shift_q <= {1'b1, shift_q[9:1]};
            left_q  <= left_q - 4'd1;
        end
        if (rst) begin
            shift_q <= '1;
            left_q  <= 4'd0;
            phase_q <= '0;
        end
    end

`ifndef SYNTHESIS
    initial if (CLOCK_KHZ < 4 * BAUD_KHZ)
        $fatal(1, "%m: CLOCK_KHZ=%0d must be at least four times BAUD_KHZ=%0d", CLOCK_KHZ, BAUD_KHZ);
`endif
endmodule
`default_nettype wire
