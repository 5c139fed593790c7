// SPDX-License-Identifier: Apache-2.0
// Pace: lets BEATS beats through per INTERVAL cycles, evenly; a late beat delays those behind it. Latency 0.
`default_nettype none
module fg_pace #(
    parameter int  BITS     = 8,   // bits of a beat
    parameter int  BEATS    = 4,   // beats of a frame
    parameter int  INTERVAL = 10,  // cycles per frame, >= BEATS
    localparam int WHOLE    = INTERVAL / BEATS,
    localparam int REST     = INTERVAL % BEATS,
    localparam int WAIT     = $clog2(WHOLE + 2),
    localparam int PHASE    = $clog2(BEATS + 1) + 1
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            in_valid,
    output      logic            in_ready,
    input  wire logic [BITS-1:0] in_data,
    output      logic            out_valid,
    input  wire logic            out_ready,
    output      logic [BITS-1:0] out_data
);
    logic [WAIT-1:0]  wait_q;   // cycles until the next beat may pass
    logic [PHASE-1:0] phase_q, phase_d;  // Bresenham remainder, in cycles / BEATS
    logic             open, carry;

    assign open      = wait_q == '0;
    assign out_valid = in_valid && open;
    assign in_ready  = out_ready && open;
    assign out_data  = in_data;
    assign phase_d   = phase_q + PHASE'(REST);
    assign carry     = phase_d >= PHASE'(BEATS);

    always_ff @(posedge clk) begin
        if (out_valid && out_ready) begin
            wait_q  <= carry ? WAIT'(WHOLE) : WAIT'(WHOLE - 1);
            phase_q <= carry ? phase_d - PHASE'(BEATS) : phase_d;
        end else if (!open) wait_q <= wait_q - 1'b1;
        if (rst) begin
            wait_q  <= '0;
            phase_q <= '0;
        end
    end

`ifndef SYNTHESIS
    initial if (BITS < 1 || BEATS < 1 || INTERVAL < BEATS)
        $fatal(1, "%m: INTERVAL=%0d must be at least BEATS=%0d, that and BITS=%0d at least 1", INTERVAL, BEATS, BITS);
    fg_stream_check #(.BITS(BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(phase_q) < BEATS && int'(wait_q) <= WHOLE)
    );
    fg_stream_check #(.BITS(BITS), .NAME("in")) u_in_check (  // it comes from somebody else's design
        .clk(clk), .rst(rst), .valid(in_valid), .ready(in_ready), .data(in_data), .in_range(1'b1)
    );
`endif
endmodule
`default_nettype wire
