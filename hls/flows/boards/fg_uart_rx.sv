// SPDX-License-Identifier: Apache-2.0
// UART receiver, 8N1: each bit is sampled in its middle, at any ratio of clock to baud rate from 4 up.
`default_nettype none
module fg_uart_rx #(
    parameter int  CLOCK_KHZ = 50000,
    parameter int  BAUD_KHZ  = 3000,
    localparam int PHASE     = $clog2(CLOCK_KHZ + BAUD_KHZ)
) (
    input  wire logic       clk,
    input  wire logic       rst,
    input  wire logic       rxd,        // idle high, asynchronous
    output      logic       out_valid,  // one cycle per byte: nothing here can wait
    output      logic [7:0] out_data,
    output      logic       broken      // the line has been low for two bytes: a break
);
    localparam int BREAK_BITS = 20;

    logic [2:0]       line_q;   // two stages against metastability, one to see the edge
    logic             busy_q;
    logic [PHASE-1:0] phase_q;  // of a bit: grows by BAUD_KHZ per cycle, wraps at CLOCK_KHZ
    logic [3:0]       bit_q;    // 0 start, 1..8 data, 9 stop
    logic [7:0]       data_q;
    logic [4:0]       low_q;    // bit times for which the line has been low
    logic             tick, valid_q;

    assign tick      = phase_q >= PHASE'(CLOCK_KHZ);
    assign out_valid = valid_q;
    assign out_data  = data_q;
    assign broken    = low_q == 5'(BREAK_BITS);

    always_ff @(posedge clk) begin
        line_q  <= {line_q[1:0], rxd};
        valid_q <= 1'b0;
        phase_q <= tick ? phase_q - PHASE'(CLOCK_KHZ) + PHASE'(BAUD_KHZ) : phase_q + PHASE'(BAUD_KHZ);
        if (!busy_q && line_q[2] && !line_q[1]) begin
            busy_q  <= 1'b1;
            bit_q   <= 4'd0;
            phase_q <= PHASE'(CLOCK_KHZ / 2);  // half a bit on: the middle
        end else if (busy_q && tick) begin
            bit_q <= bit_q + 4'd1;
            if (bit_q != 4'd9) data_q <= {line_q[1], data_q[7:1]};
            if ((bit_q == 4'd0 && line_q[1]) || bit_q == 4'd9) busy_q <= 1'b0;  // a glitch, or the end
            valid_q <= bit_q == 4'd9 && line_q[1];
        end
        if (line_q[1]) low_q <= 5'd0;
        else if (tick && !broken) low_q <= low_q + 5'd1;
        if (rst) begin
            line_q  <= 3'b111;
            busy_q  <= 1'b0;
            phase_q <= '0;
            low_q   <= 5'd0;
            valid_q <= 1'b0;
        end
    end

`ifndef SYNTHESIS
    initial if (CLOCK_KHZ < 4 * BAUD_KHZ)
        $fatal(1, "%m: CLOCK_KHZ=%0d must be at least four times BAUD_KHZ=%0d", CLOCK_KHZ, BAUD_KHZ);
`endif
endmodule
`default_nettype wire
