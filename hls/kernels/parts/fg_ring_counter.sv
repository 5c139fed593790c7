// SPDX-License-Identifier: Apache-2.0
// Counts steps from 0 to COUNT - 1 and round again. A register beside the count says whether it is at its last value, so that
// no comparison lies behind a handshake.
`default_nettype none
module fg_ring_counter #(
    parameter int  COUNT = 4,
    localparam int BITS  = COUNT > 1 ? $clog2(COUNT) : 1
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            step,
    output      logic [BITS-1:0] count,
    output      logic            last    // count is COUNT - 1
);
    always_ff @(posedge clk) begin
        if (step) begin
            count <= last ? '0 : count + 1'b1;
            last  <= last ? COUNT == 1 : count == BITS'(COUNT - 2);
        end
        if (rst) begin
            count <= '0;
            last  <= COUNT == 1;
        end
    end

`ifndef SYNTHESIS
    initial if (COUNT < 1)
        $fatal(1, "%m: COUNT=%0d must be at least 1", COUNT);
`endif
endmodule
`default_nettype wire
