// SPDX-License-Identifier: Apache-2.0
// Skid buffer: `in_ready` comes from a register, so that no path runs from the reader's handshake through to the writer's.
// II = 1, latency 0; it keeps the one beat that comes in the cycle in which the reader stalls.
`default_nettype none
module fg_skid #(
    parameter int BITS = 8  // bits of a beat
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
    logic [BITS-1:0] kept_q;
    logic            full_q;

    assign in_ready  = !full_q;
    assign out_valid = in_valid || full_q;
    assign out_data  = full_q ? kept_q : in_data;

    always_ff @(posedge clk) begin
        if (!full_q) kept_q <= in_data;
        full_q <= out_valid && !out_ready;
        if (rst) full_q <= 1'b0;
    end

`ifndef SYNTHESIS
    initial if (BITS < 1)
        $fatal(1, "%m: BITS=%0d must be at least 1", BITS);
    fg_stream_check #(.BITS(BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(1'b1)
    );
`endif
endmodule
`default_nettype wire
