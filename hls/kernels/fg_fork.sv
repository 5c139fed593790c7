// SPDX-License-Identifier: Apache-2.0
// Fork: one stream for two readers; each takes a beat when it likes, the next comes when both have. Latency 0.
`default_nettype none
module fg_fork #(
    parameter int BITS = 8  // bits of a beat
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            in_valid,
    output      logic            in_ready,
    input  wire logic [BITS-1:0] in_data,
    output      logic            left_valid,
    input  wire logic            left_ready,
    output      logic [BITS-1:0] left_data,
    output      logic            right_valid,
    input  wire logic            right_ready,
    output      logic [BITS-1:0] right_data
);
    logic left_done_q, right_done_q;  // this reader has the present beat already

    assign left_valid  = in_valid && !left_done_q;
    assign right_valid = in_valid && !right_done_q;
    assign left_data   = in_data;
    assign right_data  = in_data;
    assign in_ready    = (left_ready || left_done_q) && (right_ready || right_done_q);

    always_ff @(posedge clk) begin
        left_done_q  <= in_valid && !in_ready && (left_done_q || left_ready);
        right_done_q <= in_valid && !in_ready && (right_done_q || right_ready);
        if (rst) begin
            left_done_q  <= 1'b0;
            right_done_q <= 1'b0;
        end
    end

`ifndef SYNTHESIS
    initial if (BITS < 1)
        $fatal(1, "%m: BITS=%0d must be at least 1", BITS);
    fg_stream_check #(.BITS(BITS), .NAME("left")) u_left_check (
        .clk(clk), .rst(rst), .valid(left_valid), .ready(left_ready), .data(left_data), .in_range(1'b1)
    );
    fg_stream_check #(.BITS(BITS), .NAME("right")) u_right_check (
        .clk(clk), .rst(rst), .valid(right_valid), .ready(right_ready), .data(right_data), .in_range(1'b1)
    );
`endif
endmodule
`default_nettype wire
